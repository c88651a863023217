package storetest

import (
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

func laterTests() []test {
	return []test{
		{"a request after the send is kept", laterKept},
		{"several requests make one", laterMerge},
		{"a repeated request makes none", laterRepeated},
		{"an expired request makes none", laterExpired},
		{"a request before the send makes none", laterNotSent},
		{"it becomes an operation at the end", laterBecomes},
		{"a refused change makes no operation", laterFenced},
		{"pruned with its operation", laterPruned},
		{"a new request makes a waiting operation due sooner", hastens},
		{"a flood of requests causes few sends", hastensLittle},
		{"a request keeps the due time of a postponed step", joinKeepsDue},
	}
}

// sent enqueues an operation and stores that its send was accepted.
func (e *env) sent(session string, change ...func(*store.Operation)) store.Operation {
	e.Helper()
	o := e.enqueue(e.op("s", session, change...))[0]
	o.Phase, o.Sent, o.LastSentAt, o.AcceptedAt, o.BootDeadline = fsm.PhaseStarting, store.SentAccepted, e.now, e.now, e.at(time.Hour)
	return e.apply(o, &store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: fsm.PhaseStarting, At: e.now}, false)
}

// again requests the session of o again, and fails unless that becomes its later request.
func (e *env) again(o store.Operation, change ...func(*store.Operation)) store.Receipt {
	e.Helper()
	got := e.offer(e.op(o.Ref.StudioID, o.Ref.SessionID, change...))[0]
	if got.Err != nil || got.Created || got.Old || got.Operation.ID != o.ID || got.ID == o.ID || !got.Operation.Later.Pending() || got.Operation.Later.ID != got.ID {
		e.Fatalf("%+v (later %+v), want a later request of %s", got, got.Operation.Later, o.ID)
	}
	return got
}

// finds fails unless an id finds an operation, as an id and as a token.
func (e *env) finds(id store.ID, to store.Operation) {
	e.Helper()
	o, err := e.Operation(e.ctx, id)
	e.want("by id", o, err, to)
	o, err = e.ByToken(e.ctx, string(id))
	e.want("by token", o, err, to)
}

func by(who string) func(*store.Operation) {
	return func(o *store.Operation) {
		o.RequestedBy, o.Source, o.Reason, o.Labels = who, "cli", "for "+who, map[string]string{"who": who}
	}
}

func laterKept(e *env) {
	for _, sent := range []store.Sent{store.SentUnknown, store.SentAccepted} {
		o := e.enqueue(e.op("s", sent.String()))[0]
		o.Sent = sent
		o = e.apply(o, nil, false)
		events := len(e.feed())
		e.now = e.at(time.Minute)
		got := e.again(o, by("mo"), notBefore(e.at(time.Hour)), expires(e.at(2*time.Hour)))
		w := *got.Operation.Later
		want := store.LaterRequest{
			ID: got.ID, At: e.now, RequestedBy: "mo", Source: "cli", Reason: "for mo", Labels: w.Labels,
			NotBefore: e.at(time.Hour), ExpiresAt: e.at(2 * time.Hour),
		}
		if w.Labels["who"] != "mo" || !same(store.Operation{Later: &w}, store.Operation{Later: &want}) {
			e.Errorf("later request %+v, want %+v", w, want)
		}
		for range 2 {
			e.finds(got.ID, got.Operation)
			e.finds(o.ID, got.Operation)
			e.reopen()
		}
		if n := len(e.feed()); n != events {
			e.Errorf("%d events, want %d: a later request is none", n, events)
		}
	}
}

func laterMerge(e *env) {
	o := e.sent("a")
	first := e.again(o, by("mo"), notBefore(e.at(time.Hour)), expires(e.at(2*time.Hour)))
	e.now = e.at(time.Minute)
	second := e.again(o, by("jo"), notBefore(e.at(30*time.Minute)), expires(e.at(time.Hour)))
	w := second.Operation.Later
	if second.ID != first.ID || w.RequestedBy != "mo" || !w.At.Equal(e.now) || !w.NotBefore.Equal(e.at(30*time.Minute)) || !w.ExpiresAt.Equal(e.at(119*time.Minute)) {
		e.Errorf("later request %+v, want the labels of the first, the earlier not-before, the later expiry", w)
	}
	o = second.Operation
	if third := e.again(o, notBefore(e.at(30*time.Minute)), expires(e.at(time.Hour))); third.Operation.Version != o.Version {
		e.Errorf("a request that adds nothing makes version %d of %d", third.Operation.Version, o.Version)
	}
	// The request is withdrawn and made again. Its id stays.
	o.Later = o.Later.Done()
	o = e.apply(o, nil, false)
	e.finds(first.ID, o)
	if third := e.again(o, by("al")); third.ID != first.ID || third.Operation.Later.RequestedBy != "al" {
		e.Errorf("requested again: %+v", third.Operation.Later)
	}
}

func laterRepeated(e *env) {
	o := e.sent("a", token("t"))
	if got := e.offer(e.op("s", "a", token("t")))[0]; got.ID != o.ID || got.Operation.Later != nil {
		e.Errorf("the holder's request again: %+v", got)
	}
	first := e.again(o)
	got := e.offer(e.op("s", "a", token(string(first.ID))))[0]
	if got.ID != first.ID || got.Created || got.Old || !same(got.Operation, first.Operation) {
		e.Errorf("the later request again: %+v, want %+v", got, first)
	}
	got = e.offer(e.op("s", "b", token(string(first.ID))))[0]
	conflict(store.ErrTokenReused)(e, got, first.Operation)
	ended := e.end(first.Operation, fsm.PhaseSucceeded)
	if got := e.offer(e.op("s", "a", token(string(first.ID))))[0]; !got.Old || !same(got.Operation, ended) {
		e.Errorf("after the end: %+v, want the ended operation", got)
	}
}

func laterExpired(e *env) {
	o := e.sent("a")
	got := e.offer(e.op("s", "a", expires(e.now)))[0]
	if got.Err != nil || got.ID != o.ID || got.Operation.Later != nil {
		e.Errorf("%+v, want a join that leaves no later request", got)
	}
}

func laterNotSent(e *env) {
	o := e.enqueue(e.op("s", "a"))[0]
	got := e.offer(e.op("s", "a"))[0]
	if got.ID != o.ID || got.Operation.Later != nil {
		e.Errorf("%+v, want a join that leaves no later request: the send is yet to come", got)
	}
}

// became ends o and makes its later request an operation.
func (e *env) became(o store.Operation) (ended, next store.Operation) {
	e.Helper()
	w := o.Later
	o.Phase, o.EndReason, o.FinishedAt, o.Later = fsm.PhaseFailed, store.ReasonReturnedToStopped, e.now, w.Done()
	c := store.Change{Operation: o, Next: w.Operation(&o, o.Lane, e.now), Release: true, Events: []store.Event{
		{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseStarting, To: fsm.PhaseFailed, Reason: store.ReasonReturnedToStopped, At: e.now},
	}}
	errs, err := e.Apply(e.ctx, []store.Change{c})
	if err != nil || errs[0] != nil {
		e.Fatalf("Apply: %v, %v", errs, err)
	}
	o.Version++
	next = *c.Next
	next.Version = 1
	return o, next
}

func laterBecomes(e *env) {
	o := e.sent("a", token("t"))
	e.claim("s", 9, 9)
	later := e.again(o, by("mo"))
	asked := e.now
	e.now = e.at(time.Minute)
	events := len(e.feed())
	ended, next := e.became(later.Operation)
	if next.ID != later.ID || next.ClientToken != string(later.ID) || next.RequestedBy != "mo" || !next.CreatedAt.Equal(asked) {
		e.Errorf("it became %+v", next)
	}
	for range 2 {
		e.finds(later.ID, next)
		byID, err := e.Operation(e.ctx, ended.ID)
		e.want("the ended operation", byID, err, ended)
		bySession, err := e.BySession(e.ctx, o.Ref)
		e.want("by session", bySession, err, next)
		feed := e.feed()[events:]
		if len(feed) != 2 || feed[0].Operation != ended.ID || feed[0].To != fsm.PhaseFailed || feed[1].Operation != next.ID ||
			feed[1].From != "" || feed[1].To != fsm.PhaseQueued || feed[1].By != "mo" || !feed[1].At.Equal(ended.FinishedAt) {
			e.Errorf("events %+v, want the end and what follows it", feed)
		}
		e.reopen()
	}
	joined := e.offer(e.op("s", "a"))[0]
	if joined.Created || joined.ID != next.ID {
		e.Errorf("the next request: %+v, want it to join %s", joined, next.ID)
	}
	e.wantOps("due at once, and never sent", e.claim("s", 9, 0), next)
	e.end(joined.Operation, fsm.PhaseCanceled)
	e.finds(later.ID, e.read(next.ID))
}

func laterFenced(e *env) {
	o := e.sent("a")
	later := e.again(o).Operation
	more := e.again(later, expires(e.at(99*time.Hour))).Operation
	end := later
	end.Phase, end.FinishedAt, end.Later = fsm.PhaseFailed, e.now, later.Later.Done()
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: end, Next: later.Later.Operation(&end, end.Lane, e.now)}})
	if err != nil || errs[0] != store.ErrFenced {
		e.Errorf("%v, %v, want ErrFenced", errs, err)
	}
	e.finds(more.Later.ID, more)
	end = more // a change that does not end must have no Next: the caller must not do this
	if _, err := e.Apply(e.ctx, []store.Change{{Operation: end, Next: more.Later.Operation(&end, end.Lane, e.now)}}); err == nil {
		e.Error("an operation follows an active one")
	}
	e.finds(more.Later.ID, more)
}

func laterPruned(e *env) {
	kept := e.end(e.again(e.sent("kept")).Operation, fsm.PhaseSucceeded)
	later := e.again(e.sent("a"))
	ended, next := e.became(later.Operation)
	e.now = e.at(time.Hour)
	if n := e.prune(store.Retention{EndedSince: e.now}); n != 2 {
		e.Errorf("%d pruned, want 2", n)
	}
	for range 2 {
		e.finds(later.ID, next)
		for _, id := range []store.ID{ended.ID, kept.ID, kept.Later.ID} {
			o, err := e.Operation(e.ctx, id)
			e.wantNone("pruned", o, err)
			o, err = e.ByToken(e.ctx, string(id))
			e.wantNone("pruned, by token", o, err)
		}
		e.reopen()
	}
}

// waiting returns an operation that waits long after its tries.
func (e *env) waiting(session string, tries int) store.Operation {
	e.Helper()
	o := e.enqueue(e.op("s", session))[0]
	o.Attempts, o.Interval, o.DueAt = tries, 15*time.Minute, e.at(15*time.Minute)
	o.LastError, o.LastErrorAt = "no capacity", e.now
	return e.apply(o, nil, false)
}

func hastens(e *env) {
	o := e.waiting("a", 1)
	if got := e.offer(e.op("s", "a", token(o.ClientToken)))[0]; !same(got.Operation, o) {
		e.Errorf("the same request again: due %s, want it unchanged", got.Operation.DueAt)
	}
	got := e.offer(e.op("s", "a", notBefore(e.at(5*time.Minute))))[0].Operation
	if !got.DueAt.Equal(e.at(time.Second)) || got.Interval != 0 {
		e.Errorf("due %s after the error, interval %s, want 1s, and no backoff", got.DueAt.Sub(e.now), got.Interval)
	}
	e.wantOps("not at once", e.claim("s", 9, 9))
	e.now = e.at(time.Second)
	e.wantOps("soon", e.claim("s", 9, 9), o)

	o = e.waiting("long ago", 9)
	e.now = e.at(5 * time.Minute)
	e.offer(e.op("s", "long ago"))
	e.wantOps("at once", e.claim("s", 9, 9), o)
}

func hastensLittle(e *env) {
	for tries, want := range map[int]time.Duration{1: time.Second, 3: 4 * time.Second, 7: time.Minute, 1000: time.Minute} {
		o := e.waiting(want.String()+time.Duration(tries).String(), tries)
		for range 3 {
			if got := e.offer(e.op("s", o.Ref.SessionID))[0].Operation; !got.DueAt.Equal(e.at(want)) {
				e.Errorf("after %d tries: due %s after the error, want %s", tries, got.DueAt.Sub(e.now), want)
			}
		}
	}
}

// joinKeepsDue checks a poll that was postponed in memory only. A request makes it due
// sooner if there was an error and no request within the last minute.
func joinKeepsDue(e *env) {
	o := e.sent("well")
	e.wantOps("due", e.claim("s", 0, 9), o)
	o.DueAt = e.at(time.Hour)
	if err := e.Release(e.ctx, []store.Operation{o}); err != nil {
		e.Fatal(err)
	}
	e.now = e.at(time.Second)
	e.again(o)
	e.wantOps("postponed without an error", e.claim("s", 0, 9))

	o = e.sent("a")
	o.LastError, o.LastErrorAt = "denied", e.now
	o = e.apply(o, nil, false)
	putOff := func() {
		e.wantOps("due", e.claim("s", 0, 9), o)
		o.DueAt = e.at(time.Hour)
		if err := e.Release(e.ctx, []store.Operation{o}); err != nil {
			e.Fatal(err)
		}
	}
	putOff()
	e.now = e.at(time.Second)
	o = e.again(o).Operation
	putOff()
	for range 3 {
		e.now = e.at(time.Second)
		o = e.again(o).Operation
		e.wantOps("postponed, and requested again within a minute", e.claim("s", 0, 9))
	}
	e.now = e.at(time.Minute)
	o = e.again(o).Operation
	putOff()
}
