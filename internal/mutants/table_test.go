package mutants

// mutant is a planted bug, and the test that claims to catch it.
type mutant struct {
	name string
	bug  string // what is wrong: the rest of "does not see that"
	file string // path in the module; the bug replaces old, which occurs in it once
	old  string
	with string
	in   string // the test's package
	test string
}

// mutants lists the planted bugs by the promise that they break.
var mutants = []mutant{
	// 1. Never lost: no reader sees a start before it is synced.
	{
		"acknowledged before the commit", "the store acknowledges requests before their commit",
		"store/bolt/commit.go", "		b, bad, err := s.transact(g)\n",
		"		answer(g.requests, nil)\n		b, bad, err := s.transact(g)\n",
		"store/bolt", "TestEveryWriteFails",
	},
	{
		"a commit's error is ignored", "a failed commit is reported as done",
		"store/bolt/commit.go", "		return tx.Commit()\n", "		_ = tx.Commit()\n		return nil\n",
		"store/bolt", "TestEveryWriteFails",
	},
	{
		"shown before it is synced", "readers see a commit before it is synced",
		"store/bolt/view.go", "if tx.ID() > synced {", "if tx.ID() > synced+1 {",
		"store/bolt", "TestNothingIsShownBeforeItIsSynced",
	},
	{
		"a full disk counts as done", "a start that the full disk did not store is acknowledged",
		"store/bolt/failure.go", "	return fmt.Errorf(\"%w: %w\", store.ErrFull, err)\n}\n\n// fail", "	return nil\n}\n\n// fail",
		"store/bolt", "TestNoSpace",
	},
	{
		"one of many is dropped", "the last operation of a long Enqueue is not stored",
		"store/bolt/enqueue.go", "			for i := range part {\n", "			for i := range part[:max(1, len(part)-1)] {\n",
		"store/bolt", "TestStore",
	},

	// 2. One effect.
	{
		"sent before its intent", "no intent says that a send may have happened",
		"engine/worker.go", "		op.Sent = store.SentUnknown\n", "",
		"engine", "TestIntentBeforeTheFirstByte",
	},
	{
		"the intent is not stored", "a send is made before its intent is on disk",
		"engine/worker.go", "	errs, err := r.e.store.Apply(r.calls, changes)\n", "	errs, err := make([]error, len(changes)), error(nil)\n",
		"engine", "TestCrash",
	},
	{
		"two for one session", "a session has two active operations",
		"store/driver/decide.go", "	case active != nil:\n", "	case active != nil && want.CreatedAt.IsZero():\n",
		"engine", "TestLinearizable",
	},
	{
		"another token at each send", "a second send has another token",
		"engine/worker.go", "ClientToken: s.op.ClientToken}", "ClientToken: s.op.ClientToken[:8] + string(rune('0'+s.op.Attempts%10))}",
		"engine", "TestCrash",
	},
	{
		"sent again without a confirming read", "an answer with unknown outcome undoes the intent",
		"engine/internal/decide/answers.go", "{(*decision).confirmAfterTimeout, ", "{(*decision).unsend, ",
		"engine/internal/decide", "TestAnswers",
	},
	{
		"a second start of what was stopped", "a session that was started and then stopped is started again",
		"engine/internal/decide/stopped.go", "	case !d.op.StartedSeen.IsZero() && !started.IsZero():\n		d.returnedSince()\n", "	case !d.op.StartedSeen.IsZero() && !started.IsZero():\n		d.clear()\n",
		"engine/internal/decide", "TestStartedAtRule",
	},
	{
		"a guess clears a start", "a STOPPED that may be a guess lets a start by state be sent again",
		"engine/internal/decide/stopped.go", " && d.Traits.Authoritative && ", " && ",
		"engine/internal/decide", "TestStartedAtRule",
	},
	{
		"the past is believed", "a decision uses an answer that may show the past",
		"engine/internal/decide/arrived.go", "	d.seen.MaybeStale++\n", "	d.seen.MaybeStale += 2\n	return false\n",
		"engine/internal/decide", "TestStaleReads",
	},
	{
		"sent again at once", "a second send does not wait for the time-out of the first",
		"engine/internal/decide/arrived.go", "		at, most = d.op.LastSentAt, d.Timeout\n", "		at = d.op.LastSentAt\n",
		"engine/internal/decide", "TestNoSecondSendWithinTheTimeout",
	},
	{
		"an old Conflict ends a send", "a Conflict that answered an earlier send counts as the answer to the last send",
		"engine/internal/decide/arrived.go", " && !d.op.LastErrorAt.Before(d.op.LastSentAt)", "",
		"engine/internal/decide", "TestConflictEndsTheSend",
	},
	{
		"a read's Conflict ends a send", "a Conflict that answered a read counts as the answer to the send",
		"engine/internal/decide/errors.go", " && d.Answer.At.Before(d.arrivedBy()):\n", " && false:\n",
		"engine/internal/decide", "TestConflictOfAReadEndsNoSend",
	},
	{
		"a slow read makes a request look younger", "the age of a request is counted only until the read begins",
		"engine/internal/decide/stopped.go", "Elapsed(d.Up).Since(d.op.CreatedUp)", "Elapsed(d.Answer.Up).Since(d.op.CreatedUp)",
		"engine", "TestSlowReadOfOurOwnStart",
	},
	{
		"a slow intent does not count", "a send that began late counts as arrived",
		"engine/internal/decide/arrived.go", "sent.Add(d.Timeout+IntentFresh+", "sent.Add(d.Timeout+",
		"engine/internal/decide", "TestOnlySendByTheProvidersClock",
	},
	{
		"a cut connection was not sent", "a connection that was cut in the middle counts as never made",
		"transport/classify.go", "	return &Error{Kind: KindUnknown, Err: err}\n", "	return &Error{Kind: KindUnreachable, NotSent: true, Err: err}\n",
		"transport", "TestClassifyMade",
	},
	{
		"a token for any session", "a token that was used for another session is accepted",
		"store/driver/decide.go", "	case byToken != nil && byToken.Ref != want.Ref:\n", "	case false:\n",
		"store/bolt", "TestStore",
	},
	{
		"a token starts again after its end", "the token of an ended operation makes a new start",
		"store/driver/decide.go", "		return store.Receipt{ID: byToken.ID, Operation: *byToken, Old: true}, VerdictUnchanged\n	case byToken != nil:\n",
		"		want.Version = 1\n		return store.Receipt{Operation: want, Created: true}, VerdictCreate\n	case byToken != nil:\n",
		"engine", "TestTokensAndJoins",
	},
	{
		"two active operations of one session", "a request with another token does not join the active operation",
		"store/driver/decide.go", "	case active != nil:\n", "	case false:\n",
		"engine", "TestTokensAndJoins",
	},
	{
		"a request after the send is swallowed", "an operation that ends drops its later request",
		"engine/internal/decide/later.go", "		d.next = w.Operation(&d.op, d.Traits.Lane, d.Answer.At)\n", "",
		"engine", "TestNodePoweredDownAndUpWithinAMinute",
	},
	{
		"an older READY serves a later request", "the answer to a call that began before a later request serves that request",
		"engine/internal/decide/later.go", "	return d.op.Version == d.ReadVersion && ", "	return ",
		"engine/internal/decide", "TestReadyAndLaterRequest",
	},
	{
		"a request waits for the backoff", "a new request does not shorten a long backoff",
		"store/driver/decide.go", "		hasten(&o, &want)\n", "",
		"engine", "TestJoinHastens",
	},
	{
		"a backup starts again what the original sent", "a restored operation counts as never sent",
		"store/bolt/foreign.go", "o.Sent = store.SentUnknown", "o.Sent = store.SentNo",
		"store/bolt", "TestBackup",
	},

	// 3. One end, and one feed.
	{
		"a stale change wins", "a change is applied to a version that it was not made from",
		"store/bolt/apply.go", "	if was.Version != c.op.Version {\n", "	if was.Version > c.op.Version+1 {\n",
		"store/bolt", "TestStore",
	},
	{
		"a gap in the feed", "the feed skips a number",
		"store/bolt/batch.go", "	b.seq++\n", "	b.seq += 1 + b.seq%7/6\n",
		"store/bolt", "TestStore",
	},
	{
		"numbers used again", "the feed uses numbers again after a restart",
		"store/bolt/scan.go", "	s.index, s.counts, s.seq, s.link, s.pruned = x, counts, seq, last, pruned\n",
		"	s.index, s.counts, s.seq, s.link, s.pruned = x, counts, max(seq, 1)-1, last, pruned\n",
		"store/bolt", "TestStore",
	},
	{
		"another feed's cursor is accepted", "a cursor of a copy that has diverged is accepted",
		"store/bolt/feed.go", "	if p.Link != [format.CursorLink]byte(at[:format.CursorLink]) {\n", "	if false {\n",
		"store/bolt", "TestFork",
	},
	{
		"a pruned cursor skips", "reading from a pruned cursor skips the pruned events without an error",
		"store/bolt/feed.go", "	case p.Seq < pruned:\n		wrong.Pruned = true\n		return 0, wrong\n", "	case p.Seq < pruned:\n		return pruned, nil\n",
		"store/bolt", "TestStore",
	},
	{
		"an end without its event", "the event of an end is not stored with the end",
		"engine/internal/decide/decide.go", "	for _, ev := range []*store.Event{d.fact, d.event} {\n", "	for _, ev := range []*store.Event{d.fact} {\n",
		"engine", "TestFollowFromStoredCursor",
	},
	{
		"a feed with holes", "readers of the feed miss one event in a thousand",
		"store/bolt/feed.go", "			out = append(out, e)\n", "			if want%1000 != 0 {\n				out = append(out, e)\n			}\n",
		"engine", "TestLoad",
	},

	// 4. Offline is normal.
	{
		"offline costs attempts", "a send that never left is charged as an attempt",
		"engine/internal/decide/errors.go", "	if d.Answer.row != throttled && d.Answer.row != shortage {", "	if d.Answer.row == credentials {",
		"engine", "TestOfflineHour",
	},
	{
		"trial calls without backoff", "a blocked lane makes a trial call each second",
		"engine/lane.go", "		b.wait = decide.Trials.Next(b.wait)\n", "		b.wait = time.Second\n",
		"engine", "TestOfflineHour",
	},
	{
		"a good answer resets a backoff", "unblocking a lane makes a send without effect due at once",
		"engine/internal/decide/errors.go", "	d.unsend()\n	d.backOff(Quick)\n", "	d.unsend()\n",
		"engine", "TestUnreachableStarts",
	},
	{
		"one dead machine blocks its lane", "an error about one session counts for its lane",
		"engine/lane.go", "	case a.OnlySession:\n", "	case a.OnlySession && a.Trial:\n",
		"engine", "TestOneDeadMachine",
	},
	{
		"no jitter", "operations that failed together are retried together",
		"engine/internal/decide/backoff.go", "	return d + time.Duration(draw(2*span+1)-span)\n", "	return d + 0*time.Duration(draw(2*span+1)-span)\n",
		"engine/internal/decide", "TestJitter",
	},
	{
		"no ramp", "after an outage all queued operations go out at once",
		"engine/pace.go", "	p.set(now, max(1, p.most/rampPart))\n", "	p.set(now, 100*p.most)\n",
		"engine", "TestPace",
	},
	{
		"Retry-After is forgotten", "a provider's Retry-After does not hold its lane back",
		"engine/lane.go", "		return now.Add(a.RetryAfter)\n", "		return time.Time{}\n",
		"engine", "TestRetryAfter",
	},

	// 5. No stale starts.
	{
		"an expired start is kept", "an expired start stays active for another day",
		"store/operation.go", "	case o.Sent == SentNo:\n		return o.ExpiresAt\n", "	case o.Sent == SentNo:\n		return o.ExpiresAt.Add(UnobservableAfter)\n",
		"engine", "TestExpiry",
	},
	{
		"a wrong clock ends operations", "an untrusted clock is trusted",
		"engine/clock.go", "	if w.untrustedSince.IsZero() {\n		return true, 0\n", "	if true {\n		return true, 0\n",
		"engine", "TestUntrustedClock",
	},

	// 6. Bounded.
	{
		"bytes for each operation", "the index of operations keeps more bytes of each than it may",
		"store/internal/index/index.go", "type row struct {\n", "type row struct {\n	_ [64]byte\n",
		"store/bolt", "TestMemory",
	},
	{
		"a reader keeps its transaction", "pages that a reader saw stay in use until the store is closed",
		"store/bolt/view.go", "	begun := false\n	err = format.Guard(s.path, func() error {\n		return s.db.View(",
		"	begun := false\n	if tx, err := s.db.Begin(false); err == nil {\n		go func() { <-s.stopped; _ = tx.Rollback() }()\n	}\n	err = format.Guard(s.path, func() error {\n		return s.db.View(",
		"store/bolt", "TestNoReaderHoldsATransaction",
	},

	// 7. No secrets at rest.
	{
		"the error's text is kept as it came", "secrets in a provider's error text are stored",
		"engine/internal/decide/text.go", "	if errors.As(a.Err, &te) && te.Kind == transport.KindCredentials {\n", "	if errors.As(a.Err, &te) && te.Kind == transport.KindUnknown {\n",
		"engine/internal/decide", "TestErrorTextHasNoSecrets",
	},
	{
		"everyone can read the file", "a new file has the umask's mode",
		"store/bolt/internal/disk/owner.go", "o := Owner{UID: -1, GID: -1, Mode: 0o600}", "o := Owner{UID: -1, GID: -1, Mode: 0o644}",
		"store/bolt", "TestNewFile",
	},

	// 8. No silence.
	{
		"a wake-up is lost", "the engine is not woken when an operation becomes due",
		"store/bolt/commit.go", "	s.publish()\n	s.wakeReaders()\n", "	s.index.Publish()\n	s.wakeReaders()\n",
		"store/bolt", "TestStore",
	},
	{
		"a pause is not shown", "operations of a paused lane look queued",
		"engine/waits.go", "	if !s.lane.Paused || o.Sent != store.SentNo {\n", "	if !s.lane.Paused || o.Sent == store.SentNo {\n",
		"engine", "TestPauseOutlivesRestart",
	},

	// The store heals.
	{
		"no checksum", "a corrupt record is read as if it were sound",
		"store/bolt/internal/format/layout.go", "	return value, Sum(key, value) == binary.BigEndian.Uint32(sealed[n:])\n", "	return value, true\n",
		"store/bolt", "TestCorruptRecords",
	},
	{
		"two processes at once", "the lock does not keep a second process out",
		"store/bolt/internal/disk/lock.go", "	if !ok {\n		_ = l.Close()\n		return nil, LockedBy(path)\n	}\n", "",
		"store/bolt", "TestLockedByAnotherProcess",
	},
	{
		"an old page is trusted", "a synced page that the disk lost is not noticed",
		"store/bolt/internal/format/note.go", "		if f := w.Notes[name]; f.noted != f.found {\n", "		if f := w.Notes[name]; false && f.noted != f.found {\n",
		"store/bolt", "TestLyingDisk",
	},
	{
		"two owners at once", "a second owner gets the lanes while the first has them",
		"store/bolt/claim.go", "	if s.owner != nil && s.owner.ctx.Err() == nil {\n", "	if false && s.owner.ctx.Err() == nil {\n",
		"store/bolt", "TestStore",
	},
	{
		"an owner goes on after its end", "a call of an ended ownership changes claims of the next owner",
		"store/bolt/claim.go", "	if err := c.ctx.Err(); err != nil {\n		c.s.mu.Unlock()\n", "	if err := c.ctx.Err(); false {\n		c.s.mu.Unlock()\n",
		"store/bolt", "TestStore",
	},
	{
		"a claim ends too early", "a change with unknown outcome releases its claim",
		"store/bolt/failure.go", "			b.changes[i].release = false\n", "			b.changes[i].release = b.changes[i].release || false\n",
		"store/bolt", "TestUnknownKeepsTheClaim",
	},
	{
		"a suspect file is trusted", "a file is opened without a copy after a failed sync",
		"store/bolt/failure.go", "	temp, err := disk.CopyFile(s.path)\n	if err != nil {\n		return err\n	}\n	defer func() { _ = os.Remove(temp) }()\n	if err := disk.ReplaceFile(temp, s.path); err != nil {\n		return err\n	}\n", "",
		"store/bolt", "TestSuspectFileIsCopied",
	},

	// The wire.
	{
		"any signature", "a wrong signature is accepted",
		"transport/nimble/sigv4.go", "	if !known || !right || !token {\n", "	if !known || !token || len(expected) == 0 && !right {\n",
		"transport/nimble", "TestSignatures",
	},
	{
		"the body is not signed", "a body that was changed on its way is accepted",
		"transport/nimble/sigv4.go", "	sum := sha256.Sum256(body)\n	bodyHash := hex.EncodeToString(sum[:])\n",
		"	sum := sha256.Sum256(body)\n	bodyHash := hex.EncodeToString(sum[:])\n	if h := r.Header.Get(\"X-Amz-Content-Sha256\"); h != \"\" {\n		bodyHash = h\n	}\n",
		"transport/nimble", "TestSignatures",
	},
	{
		"the host is not signed", "a signature that leaves out the host is accepted",
		"transport/nimble/sigv4.go", "	if !slices.Contains(s.signed, \"host\") {\n", "	if false && !slices.Contains(s.signed, \"host\") {\n",
		"transport/nimble", "TestSignatures",
	},
	{
		"an old signature", "a signature of last year is accepted",
		"transport/nimble/sigv4.go", "off.Abs() > clockWindow", "off.Abs() > 9999*time.Hour",
		"transport/nimble", "TestSignatures",
	},

	// Access.
	{
		"a revoked token", "a token that was revoked is accepted",
		"engine/access/token.go", "	case !t.RevokedAt.IsZero():\n", "	case t.ExpiresAt.IsZero():\n",
		"engine/access", "TestTokenLife",
	},
	{
		"an id is enough", "a token with a wrong secret is accepted",
		"engine/access/tokens.go", "subtle.ConstantTimeCompare(hash[:], r.Hash) != 1", "subtle.ConstantTimeCompare(hash[:], r.Hash) > 1",
		"engine/access", "TestAuthenticateRefuses",
	},
	{
		"a slow read revives a token", "a read that began before Revoke brings the token back",
		"engine/access/tokens.go", "		kept := changes == t.changes\n", "		kept := changes <= t.changes\n",
		"engine/access", "TestRevokeDuringARead",
	},
	{
		"a bad pattern", "a scope that is not valid has sessions",
		"engine/access/identity.go", "		if checkPattern(p) != nil {\n", "		if p == \"\" {\n",
		"engine/access", "TestScope",
	},
	{
		"any host", "a page that makes its name resolve to the server is answered",
		"engine/access/guard.go", "		if !g.hosts.has(r) {\n", "		if r.Host == \"\" {\n",
		"engine/access", "TestHost",
	},
	{
		"another audience", "an ID token for another program is accepted",
		"engine/access/oidc.go", "&oidc.Config{ClientID: o.config.Audience}", "&oidc.Config{SkipClientIDCheck: true}",
		"engine/access", "TestOIDCIdentities",
	},
}
