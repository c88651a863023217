package engine_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// simWorld keeps the time. The bubble's clock is the host's monotonic clock. The
// world goes on while the host sleeps, and the host's wall clock may be wrong.
type simWorld struct {
	began        time.Time
	slept, wrong atomic.Int64 // nanoseconds
	boots        atomic.Uint32
	blind        bool // the host has no unsettable clock
}

// uptime reads the host's unsettable clocks.
func (w *simWorld) uptime() uptime.Reading {
	if w.blind {
		return uptime.Reading{}
	}
	return uptime.Reading{Boot: w.boots.Load(), Elapsed: w.elapsed() + time.Hour, Awake: time.Now().Round(0).Sub(w.began) + time.Hour}
}

// age returns how long ago a time of that clock was, in whichever boot.
func (w *simWorld) age(u store.Uptime) time.Duration { return w.elapsed() + time.Hour - u.At }

// simEarliest is before every day. Only a clock that is wrong by decades shows less.
var simEarliest = time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *simWorld) now() time.Time {
	return time.Now().Round(0).Add(time.Duration(w.slept.Load())).UTC()
}

// wall returns the host's clock. It has a monotonic part, as the system's clock has.
func (w *simWorld) wall() time.Time {
	return time.Now().Add(time.Duration(w.slept.Load() + w.wrong.Load()))
}

// elapsed returns the time since the day began.
func (w *simWorld) elapsed() time.Duration { return w.now().Sub(w.began) }

// simProvider starts sessions. It is the truth behind the answers that the engine gets.
type simProvider struct {
	world  *simWorld
	day    *simDay
	oracle *simOracle
	under  sync.WaitGroup // requests under way whose callers have gone

	mu       sync.Mutex // guards sessions; held for no call
	sessions map[engine.Ref]*simSession
}

// simSession is a session's history and its planned future.
type simSession struct {
	states []simState // by time
	tokens map[string]time.Time
	calls  [2]int // starts, looks
	starts int    // effects of all callers
}

type simState struct {
	at      time.Time
	state   fsm.State
	started time.Time
	by      string // the token that caused it, or a name for another cause
}

func newSimProvider(w *simWorld, d *simDay, j *simOracle) *simProvider {
	return &simProvider{world: w, day: d, oracle: j, sessions: map[engine.Ref]*simSession{}}
}

func (p *simProvider) lane(ref engine.Ref) *simLane {
	for i := range p.day.lanes {
		if p.day.lanes[i].name == ref.StudioID {
			return &p.day.lanes[i]
		}
	}
	panic("no lane " + ref.StudioID)
}

// session needs mu held.
func (p *simProvider) session(ref engine.Ref) *simSession {
	s := p.sessions[ref]
	if s == nil {
		s = &simSession{tokens: map[string]time.Time{}, states: []simState{{at: p.world.began.Add(-48 * time.Hour), state: fsm.StateStopped}}}
		if p.day.fate(p.lane(ref), "past", ref, 0, fair).orphan { // it ran before
			s.states[0].started = s.states[0].at.Add(-time.Hour)
		}
		p.sessions[ref] = s
	}
	return s
}

// at returns the state at a time.
func (s *simSession) at(t time.Time) simState {
	for i := len(s.states) - 1; i > 0; i-- {
		if !s.states[i].at.After(t) {
			return s.states[i]
		}
	}
	return s.states[0]
}

// become replaces the future and forgets the distant past.
func (s *simSession) become(now time.Time, future ...simState) {
	n := 0
	for n < len(s.states) && !s.states[n].at.After(now) {
		n++
	}
	s.states = append(s.states[:n], future...)
	for len(s.states) > 1 && s.states[1].at.Before(now.Add(-time.Hour)) {
		s.states = s.states[1:]
	}
}

// start is the effect: the session boots, runs for a while and is stopped.
func (p *simProvider) start(ref engine.Ref, s *simSession, by string, now time.Time) {
	s.starts++
	r := simDraws(p.day.seed, "life", ref, s.starts)
	boot := between(r, 10*time.Second, 4*time.Minute)
	if r.IntN(12) == 0 {
		boot = between(r, 20*time.Minute, 70*time.Minute)
	}
	end := r.IntN(14)
	stay := between(r, time.Minute, 3*time.Hour)
	stop := between(r, time.Minute, 3*time.Minute)
	if len(ref.SessionID) > len("ws-99") { // the steadfast
		boot, end, stay = min(boot, 4*time.Minute), 9, 1000*time.Hour
	}
	ready := now.Add(boot)
	future := []simState{{now, fsm.StateStartInProgress, now, by}}
	switch end {
	case 0: // and a person repairs it
		future = append(future, simState{ready, fsm.StateStartFailed, now, by}, simState{ready.Add(stay), fsm.StateStopped, now, "admin"})
	case 1:
		future = append(future, simState{ready, fsm.StateStopped, now, by})
	default:
		future = append(future, simState{ready, fsm.StateReady, now, by},
			simState{ready.Add(stay), fsm.StateStopInProgress, now, "user"}, simState{ready.Add(stay + stop), fsm.StateStopped, now, "user"})
	}
	s.become(now, future...)
}

// byHand is a user who stops or starts a session, if it can be.
func (p *simProvider) byHand(ref engine.Ref, stop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.world.now()
	s := p.session(ref)
	switch is := s.at(now); {
	case stop && (is.state == fsm.StateReady || is.state == fsm.StateStartInProgress):
		r := simDraws(p.day.seed, "hand", ref, s.starts)
		s.become(now, simState{now, fsm.StateStopInProgress, is.started, "user"},
			simState{now.Add(between(r, time.Minute, 3*time.Minute)), fsm.StateStopped, is.started, "user"})
		p.oracle.reach("stopped by hand")
	case !stop && is.state == fsm.StateStopped:
		p.start(ref, s, "user", now)
		p.oracle.reach("started by hand")
	}
}

// simCall is one call of the transport.
type simCall struct {
	life  *simLife
	lane  *simLane
	refs  []engine.Ref
	token []string // of starts
	sent  time.Time
	fate  simFate
	wx    simWeather // when the call began
	copy  int        // arrivals so far
}

// weather returns how a lane's calls are answered now.
func (p *simProvider) weather(l *simLane) simWeather {
	now := p.world.elapsed()
	for _, w := range l.weather {
		if w.from <= now && now < w.to {
			return w
		}
	}
	return simWeather{}
}

// do carries out a call: the way there, its effect, and the way back.
func (p *simProvider) do(ctx context.Context, c *simCall, what int) ([]transport.Result, error) {
	c.lane = p.lane(c.refs[0])
	c.wx = p.weather(c.lane)
	p.mu.Lock()
	s := p.session(c.refs[0])
	s.calls[what]++
	nth := s.calls[what]
	p.mu.Unlock()
	c.fate = p.day.fate(c.lane, []string{"start", "look"}[what], c.refs[0], nth, c.wx.kind)
	c.sent = p.world.now()
	if k := c.wx.kind; k == offline || k == portal || k == silence || k == lossy {
		p.oracle.reach(k.String())
	}
	p.oracle.begins(c)
	out, err := p.travel(ctx, c)
	p.oracle.ends(c, out, err)
	return out, err
}

func (p *simProvider) travel(ctx context.Context, c *simCall) ([]transport.Result, error) {
	unknown := &transport.Error{Kind: transport.KindUnknown, Message: "no answer"}
	switch {
	case c.life.dead.Load():
		return nil, errDead
	case c.token != nil && c.life.reach(dieBeforeSend):
		return nil, errDead
	case ctx.Err() != nil:
		return nil, &transport.Error{Kind: transport.KindUnknown, NotSent: true}
	case c.wx.kind == offline:
		return nil, &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: "no route"}
	case c.wx.kind == portal:
		return nil, &transport.Error{Kind: transport.KindUnreachable, HTTPStatusCode: 511, RetryAfter: time.Hour}
	}
	if c.fate.twin > 0 {
		p.later(c, c.fate.out+c.fate.twin)
	}
	timer := time.NewTimer(c.fate.out)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		p.orphan(c)
		return nil, unknown
	case <-c.life.killed:
		if c.fate.orphan {
			p.orphan(c)
		}
		return nil, errDead
	}
	if c.fate.drop || c.wx.kind == silence {
		p.oracle.reach("request dropped")
		<-ctx.Done()
		return nil, unknown
	}
	out, err := p.arrive(c)
	if c.token != nil && c.life.reach(dieAfterEffect) {
		return nil, errDead
	}
	timer.Reset(c.fate.back)
	select {
	case <-timer.C:
	case <-ctx.Done():
		p.oracle.reach("answer too late")
		return nil, unknown
	case <-c.life.killed:
		return nil, errDead
	}
	if c.fate.lose {
		p.oracle.reach("answer lost")
		return nil, unknown
	}
	return out, err
}

// orphan lets a request arrive whose caller has gone.
func (p *simProvider) orphan(c *simCall) {
	if !c.fate.drop && c.wx.kind != silence {
		p.later(c, c.fate.out-p.world.now().Sub(c.sent))
	}
}

// later lets a copy of a request arrive. Its answer is dropped.
func (p *simProvider) later(c *simCall, wait time.Duration) {
	p.under.Go(func() {
		time.Sleep(max(0, wait))
		if !c.life.dead.Load() || c.fate.orphan {
			_, _ = p.arrive(c)
		}
	})
}

// arrive carries out a request at the provider and returns its answer.
func (p *simProvider) arrive(c *simCall) ([]transport.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.world.now()
	c.copy++
	w := p.weather(c.lane)
	if c.fate.fails != fair {
		w = simWeather{kind: c.fate.fails}
	}
	if w.kind == offline || w.kind == portal || w.kind == silence {
		return nil, &transport.Error{Kind: transport.KindUnknown, Message: "cut"}
	}
	refusal := p.refusal(c, w, now)
	if refusal != nil && (c.token == nil || !c.fate.late || refusal.Kind != transport.KindInternal) {
		return nil, refusal
	}
	out := make([]transport.Result, len(c.refs))
	for i, ref := range c.refs {
		s := p.session(ref)
		if c.token != nil {
			out[i].Session, out[i].Err = p.startOne(c, i, s, now)
		} else {
			out[i].Session, out[i].Err = p.lookOne(c, ref, s, now)
		}
	}
	if refusal != nil {
		return nil, refusal
	}
	return out, nil
}

// refusal returns how the weather answers a request.
func (p *simProvider) refusal(c *simCall, w simWeather, now time.Time) *transport.Error {
	e := &transport.Error{Code: "Code"}
	if c.lane.tellsDate {
		e.Date = now.Add(c.lane.skew).Truncate(time.Second)
	}
	start := c.token != nil
	switch {
	case w.kind == throttling:
		e.Kind, e.RetryAfter = transport.KindThrottled, w.retryAfter
	case w.kind == quota && start:
		e.Kind = transport.KindQuotaExceeded
	case w.kind == capacity && start:
		e.Kind = transport.KindCapacity
	case w.kind == internal5xx:
		e.Kind, e.HTTPStatusCode = transport.KindInternal, 503
	case w.kind == conflicting && start:
		e.Kind = transport.KindConflict
	case w.kind == credentialsExpired:
		e.Kind, e.Message = transport.KindCredentials, "the token "+simSecret+" is expired"
	case w.kind == looksDenied && !start, w.kind == startsDenied && start:
		e.Kind = transport.KindAccessDenied
	default:
		return nil
	}
	p.oracle.reach(w.kind.String())
	return e
}

// startOne needs mu held.
func (p *simProvider) startOne(c *simCall, i int, s *simSession, now time.Time) (transport.Session, error) {
	ref, token := c.refs[i], c.token[i]
	is := s.at(now)
	used, known := s.tokens[token]
	if known && now.Sub(used) >= c.lane.traits.TokenMemory {
		delete(s.tokens, token)
		known = false
		p.oracle.reach("token forgotten")
	}
	switch runs := is.state == fsm.StateReady || is.state == fsm.StateStartInProgress; {
	case known:
		p.oracle.reach("token known again")
	case is.state == fsm.StateStopped, runs && c.lane.traits.Repeat == transport.RepeatNever:
		p.start(ref, s, token, now)
		if c.lane.traits.Repeat == transport.RepeatByToken {
			s.tokens[token] = now
		}
		p.oracle.effect(c, token, now)
	case c.lane.traits.Repeat == transport.RepeatByState && is.state != fsm.StateStartFailed: // runs, or is being stopped
	default:
		return transport.Session{}, &transport.Error{Kind: transport.KindConflict}
	}
	return p.show(c.lane, ref, s.at(now), now), nil
}

// lookOne returns the session as it is, or as it was. mu must be held.
func (p *simProvider) lookOne(c *simCall, ref engine.Ref, s *simSession, now time.Time) (transport.Session, error) {
	back := time.Duration(c.fate.past * float64(staleFor(c.lane)))
	is, was := s.at(now), s.at(now.Add(-back))
	if is != was {
		p.oracle.reach("past shown")
	}
	if !is.started.Equal(was.started) && c.fate.orphan && c.fate.late { // it changed, and an index of the provider has not caught up
		p.oracle.reach("not found for a while")
		return transport.Session{}, &transport.Error{Kind: transport.KindNotFound}
	}
	return p.show(c.lane, ref, was, now), nil
}

func staleFor(l *simLane) time.Duration {
	if l.traits.StaleFor == 0 {
		return transport.DefaultStaleFor
	}
	return l.traits.StaleFor
}

func (p *simProvider) show(l *simLane, ref engine.Ref, is simState, now time.Time) transport.Session {
	s := transport.Session{Ref: ref, State: is.state}
	if l.tellsDate {
		s.Date = now.Add(l.skew).Truncate(time.Second)
		s.UpdatedAt = is.at.Add(l.skew)
		if !is.started.IsZero() {
			s.StartedAt = is.started.Add(l.skew)
		}
	}
	return s
}

// simWire is the provider as one life of the host calls it.
type simWire struct {
	p    *simProvider
	life *simLife
}

// Traits implements transport.Describer.
func (x *simWire) Traits(ref engine.Ref) transport.Traits { return x.p.lane(ref).traits }

func (x *simWire) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	out, err := x.BatchStart(ctx, []transport.StartInput{in})
	if err != nil {
		return transport.Session{}, err
	}
	return out[0].Session, out[0].Err
}

func (x *simWire) Get(ctx context.Context, ref engine.Ref) (transport.Session, error) {
	out, err := x.BatchGet(ctx, []engine.Ref{ref})
	if err != nil {
		return transport.Session{}, err
	}
	return out[0].Session, out[0].Err
}

func (x *simWire) BatchGet(ctx context.Context, refs []engine.Ref) ([]transport.Result, error) {
	return x.p.do(ctx, &simCall{life: x.life, refs: slices.Clone(refs)}, 1)
}

func (x *simWire) BatchStart(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
	c := &simCall{life: x.life}
	for _, in := range ins {
		c.refs, c.token = append(c.refs, in.Ref), append(c.token, in.ClientToken)
	}
	return x.p.do(ctx, c, 0)
}
