package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// simSecret must never appear outside the provider.
const simSecret = "AKIA-CANARY-SECRET"

// simOracle sees everything that host and provider do, and reports broken promises. It
// knows the truth, but nothing of the engine's internals.
type simOracle struct {
	world  *simWorld
	day    *simDay
	p      *simProvider
	want   string        // the check that ends the day when it fails
	enough chan struct{} // closed when the rest of the day is not needed

	mu      sync.Mutex // guards what follows; held during no call but a look-up of the record
	blames  []string
	over    bool
	ahead   [][2]time.Time // times, from and to, that a clock showed before it was set back
	reached map[string]int // what happened, things that no promise covers included
	ops     map[store.ID]*simOp
	tokens  map[string]store.ID // the operation that holds a token
	laters  map[store.ID]*simLater
	effects map[string][]simEffect
	lanes   map[string]*simLaneSeen
	feed    []store.Event
	cursor  store.Cursor
	died    time.Time // the last life, on the bubble's clock
	slept   time.Time // the last sleep, by the world's clock
	woke    time.Time
	kept    simKept
}

// simKept says since when the file has a record of how the clock behaves. While boot
// and wrong stay as they are, the clock has not jumped.
type simKept struct {
	at    time.Time // by the world's clock
	boot  uint32
	wrong int64
}

// clockKept notes that the file has such a record now.
func (j *simOracle) clockKept() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if k := (simKept{j.world.now(), j.world.boots.Load(), j.world.wrong.Load()}); k.boot != j.kept.boot || k.wrong != j.kept.wrong {
		j.kept = k
	}
}

// clockKnown reports whether a host must trust its clock. That is so if the clock is
// right and the file has had a record of it for more than ten minutes. The caller holds
// mu.
func (j *simOracle) clockKnown() bool {
	return !j.world.blind && j.kept.boot == j.world.boots.Load() && j.kept.wrong == 0 && j.world.wrong.Load() == 0 &&
		j.world.now().Sub(j.kept.at) > 10*time.Minute+time.Second
}

// simOp is what the oracle knows of an operation.
type simOp struct {
	ask      int           // -1: no ask made it
	wish     time.Duration // from the request to its expiry, if the clock of the request was impossible
	asked    time.Time     // when that was, by the world's clock
	acked    bool
	canceled bool // a cancel answered CancellationNeverSent
	right    bool // made while the clock was right
	odd      bool // made, or sent, while the clock was wrong: its times cannot be compared
	phase    fsm.Phase
	ends     int
	accepted time.Time // by the world's clock
	within   int       // the Run in which it was accepted
	sent     bool
	refund   bool // the last answered send cost no attempt
	base     int  // attempts before the last intent
	refusal  transport.Kind
	unknown  bool // the outcome of a send is unknown
	token    string
	ref      engine.Ref
	sends    []time.Time // of the last ten minutes of this Run, on the bubble's clock
}

// forgettable reports whether the operation may be pruned: by its wrong clock it ended
// years ago, and ended operations are kept for a month.
func (o *simOp) forgettable() bool { return o.odd && o.ends == 1 }

// simEffect is a session started by an operation's token.
type simEffect struct {
	at   time.Time
	sent time.Time // when its request was sent
	copy int       // the number of the arrival, of that request
}

// simLaneSeen is a lane as the oracle sees it.
type simLaneSeen struct {
	inFlight int
	recent   []time.Time // calls of the last second
	floor    time.Time   // by the wall clock
	heard    time.Time   // on the bubble's clock
	wrong    int64       // how wrong the wall clock was then
	gone     time.Time   // when an answer reported it offline, on the bubble's clock; zero: the last answer did not
	paused   time.Time   // on the bubble's clock; zero: it is not
	unsure   bool        // the host died during a pause or resume: either may be stored

	silent map[engine.Ref]bool // sessions whose last call in this Run had no answer
	mute   map[engine.Ref]bool // sessions whose calls had no answer since the lane's last answer
	away   bool                // since then, an error blamed the whole lane
}

func newSimOracle(w *simWorld, d *simDay, want string) *simOracle {
	j := &simOracle{
		want: want, enough: make(chan struct{}),
		world: w, day: d, reached: map[string]int{}, ops: map[store.ID]*simOp{}, tokens: map[string]store.ID{}, laters: map[store.ID]*simLater{},
		effects: map[string][]simEffect{}, lanes: map[string]*simLaneSeen{},
	}
	for _, l := range d.lanes {
		j.lanes[l.name] = &simLaneSeen{silent: map[engine.Ref]bool{}, mute: map[engine.Ref]bool{}}
	}
	return j
}

// maxBlames is how many blames end a day.
const maxBlames = 20

// blame records a broken promise. mu must be held.
func (j *simOracle) blame(check, format string, args ...any) {
	text := fmt.Sprintf("%s: at %v: ", check, j.world.elapsed().Round(time.Millisecond)) + fmt.Sprintf(format, args...)
	if len(j.blames) == maxBlames {
		return
	}
	j.blames = append(j.blames, text)
	if !j.over && (check == j.want || len(j.blames) == maxBlames) {
		j.over = true
		close(j.enough)
	}
}

func (j *simOracle) accuse(check, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.blame(check, format, args...)
}

// reach records that something happened.
func (j *simOracle) reach(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reached[what]++
}

// forget forgets what the last Run had found out, for a new Run.
func (j *simOracle) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lanes {
		l.gone, l.away = time.Time{}, true // the record of an earlier Run counts until the first answer
		clear(l.silent)
		clear(l.mute)
	}
	for _, o := range j.ops {
		o.sends = nil
	}
}

// op needs mu held.
func (j *simOracle) op(id store.ID) *simOp {
	o := j.ops[id]
	if o == nil {
		o = &simOp{ask: -1}
		j.ops[id] = o
	}
	return o
}

// acknowledged takes each receipt that a living host got.
func (j *simOracle) acknowledged(ask int, r engine.Receipt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	op := r.Operation
	o := j.op(op.ID)
	o.acked, o.token, o.ref = true, op.ClientToken, op.Ref
	j.askedLater(r)
	o.sends = nil // a request that joins may make the next send due soon
	j.hastened(ask, r)
	if ask >= 0 && (r.Created || o.ask < 0) {
		o.ask = ask
	}
	if r.Created && op.CreatedAt.Before(simEarliest) {
		o.wish, o.asked = op.ExpiresAt.Sub(op.CreatedAt), j.world.now()
	}
	if was, ok := j.tokens[op.ClientToken]; ok && was != op.ID && j.op(was).forgettable() {
		delete(j.effects, op.ClientToken)
	} else if ok && was != op.ID {
		j.blame("lost", "token %s is operation %s's, and was %s's", op.ClientToken, op.ID, was)
	}
	j.tokens[op.ClientToken] = op.ID
	if ask >= 0 && j.day.asks[ask].token != "" && op.ClientToken != j.day.asks[ask].token {
		j.blame("lost", "ask %d with token %s got operation %s with token %s", ask, j.day.asks[ask].token, op.ID, op.ClientToken)
	}
}

// made takes the stored receipts of requests.
func (j *simOracle) made(out []store.Receipt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range out {
		if e.Created && e.Err == nil {
			j.op(e.ID).right = j.world.wrong.Load() == 0
		}
	}
}

// begins checks a call before it is made: promises 2 and 5 by the record on disk, and
// the lane's bounds.
func (j *simOracle) begins(c *simCall) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.life.dead.Load() {
		return
	}
	l, now, wall := j.lanes[c.lane.name], time.Now(), j.world.wall()
	l.inFlight++
	if l.inFlight > c.lane.cfg.Concurrency {
		j.blame("concurrency", "%d calls of %s at once, %d allowed; this one of %d with tokens %v; lane gone %v", l.inFlight, c.lane.name, c.lane.cfg.Concurrency, len(c.refs), c.token, l.gone)
	}
	l.recent = append(slices.DeleteFunc(l.recent, func(t time.Time) bool { return now.Sub(t) >= time.Second }), now)
	if most := int(c.lane.cfg.Rate) + max(1, int(c.lane.cfg.Rate/10)) + 2; len(l.recent) > most {
		j.blame("rate", "%d calls of %s in a second, %v and a burst allowed", len(l.recent), c.lane.name, c.lane.cfg.Rate)
	}
	if wall.Add(time.Millisecond).Before(l.floor) && now.After(l.heard) && j.world.wrong.Load() == l.wrong {
		j.blame("retry-after", "a call of %s %v before the time that was asked for", c.lane.name, l.floor.Sub(wall))
	}
	for i, token := range c.token {
		j.sends(c, c.refs[i], token)
	}
}

// mostSends is how many sends of one operation its backoff allows in ten minutes, and
// some more for a clock that jumps.
const mostSends = 30

// sends checks a send before it is made. mu must be held.
func (j *simOracle) sends(c *simCall, ref engine.Ref, token string) {
	op, err := c.life.inner.ByToken(context.Background(), token)
	wall := j.world.wall()
	switch {
	case err != nil:
		j.blame("token", "a send of %s with token %s, which no operation has: %v", ref, token, err)
		return
	case op.Ref != ref:
		j.blame("token", "a send of %s with token %s of %s", ref, token, op.Ref)
	case op.Sent != store.SentUnknown:
		j.blame("intent", "%s is sent, but sent=%v is on disk", op.ID, op.Sent)
	case op.Phase.Ended():
		j.blame("intent", "%s is sent, but is %s", op.ID, op.Phase)
	case !wall.Before(op.ExpiresAt) && !j.inTime(&op):
		j.blame("expiry", "%s is sent %v after its expiry", op.ID, wall.Sub(op.ExpiresAt))
	case wall.Before(op.NotBefore):
		j.blame("not-before", "%s is sent %v before its not-before", op.ID, op.NotBefore.Sub(wall))
	}
	o, now := j.op(op.ID), time.Now()
	o.sends = append(slices.DeleteFunc(o.sends, func(t time.Time) bool { return now.Sub(t) >= 10*time.Minute }), now)
	if len(o.sends) > mostSends {
		j.blame("often", "%s is sent the %dth time in ten minutes: %s", op.ID, len(o.sends), op.LastError)
	}
	if o.canceled {
		j.blame("canceled", "%s is sent, although its cancel was answered with NeverSent", op.ID)
	}
}

// inTime reports whether the unsettable clock proves that an operation
// has not expired, whatever the wall clock shows. mu must be held.
func (j *simOracle) inTime(op *store.Operation) bool {
	return op.CreatedUp.Boot == j.world.boots.Load() && j.world.age(op.CreatedUp) < op.ExpiresAt.Sub(op.CreatedAt)
}

// ends takes the answer of a call, as the engine gets it.
func (j *simOracle) ends(c *simCall, out []transport.Result, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lanes[c.lane.name]
	if l.inFlight > 0 {
		l.inFlight--
	}
	if c.life.dead.Load() {
		return
	}
	var te *transport.Error
	if errors.As(err, &te) && te.Kind.Protocol() && te.RetryAfter > 0 {
		if until := j.world.wall().Add(min(te.RetryAfter, time.Hour)); until.After(l.floor) || j.world.wrong.Load() != l.wrong {
			l.floor, l.heard, l.wrong = until, time.Now(), j.world.wrong.Load()
		}
	}
	switch {
	case te == nil || te.Kind != transport.KindUnreachable || !te.NotSent:
		l.gone = time.Time{}
	case l.gone.IsZero():
		l.gone = time.Now()
	}
	l.hears(c, out, te)
	for i, token := range c.token {
		one := te
		if err == nil {
			one = nil
			errors.As(out[i].Err, &one)
		}
		o := j.op(j.tokenOf(token))
		o.refund = one != nil && (one.NotSent || one.Kind == transport.KindCredentials)
		switch {
		case one == nil: // a start of a session that is being stopped: the answer proves nothing
			o.unknown = o.unknown || out[i].Session.State == fsm.StateStopInProgress
		case one.Kind.Refusal():
			o.refusal = one.Kind
		case !one.NotSent:
			o.unknown = true
		}
	}
}

// hears records which sessions of the lane are silent.
func (l *simLaneSeen) hears(c *simCall, out []transport.Result, whole *transport.Error) {
	for i, ref := range c.refs {
		e := whole
		if e == nil && i < len(out) {
			errors.As(out[i].Err, &e)
		}
		switch l.silent[ref] = e != nil && !e.Kind.Protocol(); {
		case e != nil && (e.Kind == transport.KindUnreachable || e.Kind == transport.KindCredentials):
			l.away = true
		case l.silent[ref]:
			l.mute[ref] = true
		default:
			l.away = false
			clear(l.mute)
		}
	}
}

// wellFor reports whether the lane has no reason to be offline for a session. That is so
// if its last call was answered, and at most one other session was silent since.
func (l *simLaneSeen) wellFor(ref engine.Ref) bool {
	silent, called := l.silent[ref]
	return called && !silent && !l.away && len(l.mute) <= 1
}

// tokenOf returns the operation that holds a token. mu must be held.
func (j *simOracle) tokenOf(token string) store.ID {
	if id, ok := j.tokens[token]; ok {
		return id
	}
	return store.ID(token)
}

// effect records that a request started a session.
func (j *simOracle) effect(c *simCall, token string, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := simEffect{at: now, sent: c.sent, copy: c.copy}
	j.effects[token] = append(j.effects[token], e)
	if e.late() {
		j.reached["effect later than its time-out"]++
	}
	if e.copy > 1 {
		j.reached["effect of a second copy"]++
	}
}

// lastEffect needs mu held.
func (j *simOracle) lastEffect(token string) simEffect {
	es := j.effects[token]
	return es[len(es)-1]
}

// late records that a request arrived later than its own time-out.
func (e simEffect) late() bool { return e.at.Sub(e.sent) > 15*time.Second }

// changes checks changes before their commit.
func (j *simOracle) changes(l *simLife, host bool, was []store.Operation, cs []store.Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	for i, c := range cs {
		op, o, lane := c.Operation, j.op(c.Operation.ID), j.lanes[c.Operation.Lane]
		j.tokens[op.ClientToken] = op.ID
		if host && op.Interval < was[i].Interval { // a person asked for it to be tried now
			o.sends = nil
		}
		if was[i].Version != op.Version || host {
			continue // it will be refused, or the engine did not make it
		}
		if !lane.gone.IsZero() && now.Sub(lane.gone) > 20*time.Second && !op.Phase.Ended() && !corrects(was[i], op) {
			j.blame("offline", "%s (%s, sent %v) is written while its lane is offline for %v: attempts %d, was %d; %q, was %q", op.ID, op.Phase, op.Sent, now.Sub(lane.gone), op.Attempts, was[i].Attempts, op.LastError, was[i].LastError)
		}
		if o.right && (!op.CreatedAt.Equal(was[i].CreatedAt) || !op.ExpiresAt.Equal(was[i].ExpiresAt)) {
			j.blame("dated", "the times of %s change to made %v, expires %v; they were %v, %v, by a right clock", op.ID, op.CreatedAt, op.ExpiresAt, was[i].CreatedAt, was[i].ExpiresAt)
		}
		if marks(was[i], op) {
			o.base = was[i].Attempts
			o.sent = true
			o.odd = o.odd || j.world.wrong.Load() != 0 || j.twice()
			switch {
			case !op.CancelAt.IsZero():
				j.blame("canceled", "%s is to be sent after its cancel", op.ID)
			case !lane.paused.IsZero() && now.After(lane.paused):
				j.blame("paused", "%s is to be sent while %s is paused", op.ID, op.Lane)
			}
			continue
		}
		if o.refund && op.Attempts > o.base {
			j.blame("charged", "%s of %s was charged for a send that did not happen: attempts %d, %d before, %d in the file, %s, sent %v", op.ID, op.Ref, op.Attempts, o.base, was[i].Attempts, op.Phase, op.Sent)
		}
		o.refund = false
	}
}

// corrects reports whether a change corrects a time by a clock that is right now, or
// stores the first error after the deadline.
func corrects(was, is store.Operation) bool {
	d := is.Deadline()
	return !is.AcceptedAt.Equal(was.AcceptedAt) || !is.CreatedAt.Equal(was.CreatedAt) || was.LastErrorAt.Before(d) && !is.LastErrorAt.Before(d)
}

// twice reports whether the wall clock has shown this time before, when it was ahead.
// Then the order of two sends cannot be known. mu must be held.
func (j *simOracle) twice() bool {
	wall := j.world.wall()
	return slices.ContainsFunc(j.ahead, func(a [2]time.Time) bool { return !wall.Before(a[0]) && !wall.After(a[1]) })
}

// changed takes committed changes.
func (j *simOracle) changed(l *simLife, was []store.Operation, cs []store.Change, errs []error) {
	now := j.world.now()
	for i, c := range cs {
		op := c.Operation
		if errs[i] != nil {
			continue
		}
		state, ready := j.p.truth(op.Ref, now, j.shown(now))
		j.mu.Lock()
		o := j.op(op.ID)
		if op.Sent == store.SentAccepted && o.accepted.IsZero() {
			o.accepted, o.within = now, l.runs
		}
		if marks(was[i], op) && was[i].Sent == store.SentNo {
			j.servesLater(op.ID)
		}
		if op.Phase.Ended() && !was[i].Phase.Ended() {
			j.ended(l, o, op, now, state, ready)
			j.laterEnded(c, state, func(from time.Time) bool { return j.p.readySince(op.Ref, from, now) })
		}
		j.mu.Unlock()
	}
}

// unnoticed is the longest jump after which the engine still trusts the wall clock:
// see Time in the engine's documentation.
const unnoticed = 5 * time.Minute

// ended compares an end with the truth. mu must be held.
func (j *simOracle) ended(l *simLife, o *simOp, op store.Operation, now time.Time, state simState, ready bool) {
	early := func(truth time.Time) bool { return !o.odd && now.Before(truth.Add(-unnoticed)) }
	mine := state.by == op.ClientToken && (state.state == fsm.StateReady || state.state == fsm.StateStartInProgress)
	switch {
	case op.Phase == fsm.PhaseSucceeded && !ready:
		j.blame("ready", "%s SUCCEEDED, but %s is %s", op.ID, op.Ref, state.state)
	case op.Phase == fsm.PhaseExpired && o.wish > 0 && now.Before(o.asked.Add(o.wish-unnoticed)):
		j.blame("early", "%s EXPIRED %v after a request by an impossible clock, which asked for %v", op.ID, now.Sub(o.asked), o.wish)
	case op.Phase == fsm.PhaseExpired && early(op.ExpiresAt):
		j.blame("early", "%s EXPIRED %v before its time", op.ID, op.ExpiresAt.Sub(now))
	case op.Phase == fsm.PhaseSucceeded:
	case mine && (j.lastEffect(op.ClientToken).late() || j.lastEffect(op.ClientToken).copy > 1):
		j.reached["beyond the promise: an end before its start"]++
	case mine && op.Phase != fsm.PhaseFailed:
		j.blame("stale", "%s ended %s, although it started %s", op.ID, op.Phase, op.Ref)
	case op.Phase != fsm.PhaseFailed:
	case op.EndReason == store.ReasonTimeout:
		if now.Sub(o.accepted) < 30*time.Minute-time.Second && (!o.odd || o.within == l.runs) {
			j.blame("early", "%s FAILED by timeout %v after it was accepted: %s; accepted %v, ready by %v, now %v, wrong by %v", op.ID, now.Sub(o.accepted), op.LastError, op.AcceptedAt, op.BootDeadline, j.world.wall(), time.Duration(j.world.wrong.Load()))
		}
	case op.EndReason == store.ReasonUnobservable:
		if early(op.Deadline()) {
			j.blame("early", "%s FAILED as unobservable %v before its time", op.ID, op.Deadline().Sub(now))
		}
	case op.EndReason == store.ReasonAccessDenied || op.EndReason == store.ReasonInvalid:
		if o.refusal != transport.KindAccessDenied {
			j.blame("false end", "%s FAILED with %s, but the provider did not say so", op.ID, op.EndReason)
		}
	case mine:
		j.blame("false end", "%s FAILED with %s, and %s is %s by it since %v; sent %v ago", op.ID, op.EndReason, op.Ref, state.state, now.Sub(state.started), j.world.wall().Sub(op.LastSentAt))
	case op.EndReason == store.ReasonAmbiguous && !o.unknown && j.reached["deaths"] == 0:
		j.blame("false end", "%s FAILED as ambiguous, although all its answers arrived", op.ID)
	}
}

// sleeps records that the host is about to sleep.
func (j *simOracle) sleeps(now time.Time, d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.slept, j.woke = now, now.Add(d)
}

// shown returns the earliest time at which the call of an answer that arrives now may
// have been made. A call takes at most its time-out, but the host may have slept.
func (j *simOracle) shown(now time.Time) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := now.Add(-16 * time.Second)
	if j.woke.After(at) && !j.slept.IsZero() {
		at = at.Add(-j.woke.Sub(j.slept))
	}
	return at
}

// truth returns the state of a session. It also reports whether the session was READY at
// any time that an answer to a call made at since may show.
func (p *simProvider) truth(ref engine.Ref, now, since time.Time) (is simState, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.session(ref)
	is = s.at(now)
	since = since.Add(-staleFor(p.lane(ref)))
	for i, x := range s.states {
		until := now.Add(time.Hour)
		if i+1 < len(s.states) {
			until = s.states[i+1].at
		}
		ready = ready || x.state == fsm.StateReady && !x.at.After(now) && until.After(since)
	}
	return is, ready
}

// event takes each event that a follower stores, once.
func (j *simOracle) event(l *simLife, ev store.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l.dead.Load() {
		return
	}
	if n := uint64(len(j.feed)); ev.Seq != n+1 {
		j.blame("feed", "event %d follows %d", ev.Seq, n)
	}
	j.feed = append(j.feed, ev)
	j.cursor = ev.Cursor
	o := j.op(ev.Operation)
	fact := ev.From == ev.To
	switch {
	case fact && ev.To != o.phase, !fact && ev.From != o.phase:
		j.blame("feed", "event %d: %s goes from %q to %q (%s), but it was %q", ev.Seq, ev.Operation, ev.From, ev.To, ev.Reason, o.phase)
	case !fact && o.phase != "" && (o.phase.Ended() || fsm.Advance(o.phase, ev.To) != nil):
		j.blame("feed", "event %d: %s goes from %q to %q", ev.Seq, ev.Operation, ev.From, ev.To)
	}
	if !fact && ev.To.Ended() {
		o.ends++
	}
	o.phase = ev.To
}

// explained checks promise 8.
func (j *simOracle) explained(l *simLife, x engine.Explanation, settled bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if x.Operation.Phase.Ended() || l.dead.Load() {
		return
	}
	now := j.world.wall()
	switch {
	case x.Waiting == "" || x.Text == "" || x.Since.IsZero() || x.Next.IsZero() && x.Unblock == "":
		j.blame("silence", "%s waits, and Explain returns only %+v", x.Operation.ID, x)
	case settled && x.Waiting != engine.WaitScheduled && x.Next.Sub(now) > 65*time.Minute:
		j.blame("silence", "%s waits for %q; its next step is in %v", x.Operation.ID, x.Waiting, x.Next.Sub(now))
	}
	if x.Waiting == engine.WaitUntrustedClock && j.clockKnown() {
		j.blame("clock", "%s waits for the clock, which has been right since %v by the file: %s", x.Operation.ID, j.kept.at, x.Text)
	}
	op := x.Operation
	if settled && x.Waiting == engine.WaitOffline && op.LastKind != transport.KindUnreachable && j.lanes[op.Lane].wellFor(op.Ref) {
		j.blame("scope", "%s waits as offline, although the last answers of %s and lane %s arrived: %s", op.ID, op.Ref, op.Lane, x.Text)
	}
	j.reached["waits: "+string(x.Waiting)]++
}
