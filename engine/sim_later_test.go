package engine_test

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// simLater is an acknowledged later request. The oracle forgets it when it is
// withdrawn.
type simLater struct {
	holder    store.ID
	at        time.Time // the latest request, by the world's clock
	notBefore time.Time // by the wall clock, as expires
	expires   time.Time
	odd       bool // the clock was wrong since then: its times cannot be compared
	became    bool // an operation
}

// askedLater records a receipt whose id is not its operation's. mu must be held.
func (j *simOracle) askedLater(r engine.Receipt) {
	w := r.Operation.Later
	if r.ID == r.Operation.ID || !w.Pending() {
		return
	}
	j.reached["later wish"]++
	wrong := time.Duration(j.world.wrong.Load())
	odd := wrong != 0 || j.laters[r.ID] != nil && j.laters[r.ID].odd
	j.laters[r.ID] = &simLater{holder: r.Operation.ID, at: w.At.Add(-wrong), notBefore: w.NotBefore, expires: w.ExpiresAt, odd: odd}
}

// hastened checks a new request for an operation that was not sent. The next try must be
// due within a minute, however long an error puts it off. The caller holds mu.
func (j *simOracle) hastened(ask int, r engine.Receipt) {
	op := r.Operation
	if ask < 0 || r.Created || r.Old || j.day.asks[ask].token != "" || op.Sent != store.SentNo || op.LastErrorAt.IsZero() {
		return
	}
	j.reached["joined a backoff"]++
	soon := j.world.wall()
	if op.NotBefore.After(soon) {
		soon = op.NotBefore
	}
	if op.DueAt.After(soon.Add(time.Minute)) {
		j.blame("hastened", "%s of %s is due %v after it was asked for again: %s", op.ID, op.Ref, op.DueAt.Sub(soon), op.LastError)
	}
}

// servesLater records a send of an operation whose earlier sends cannot have arrived.
// It serves the requests that were made before it. mu must be held.
func (j *simOracle) servesLater(holder store.ID) {
	for id, w := range j.laters {
		if w.holder == holder && !w.notBefore.After(j.world.wall()) {
			delete(j.laters, id)
			j.reached["later wish served by a send"]++
		}
	}
}

// withdraws is called before a cancel of an operation.
func (j *simOracle) withdraws(holder store.ID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, w := range j.laters {
		if w.holder == holder && !w.became {
			delete(j.laters, id)
		}
	}
}

// laterEnded checks what became of a later request when its holder ended. The func
// readyAt reports whether the session was READY at some time since a given time. The
// caller holds mu.
func (j *simOracle) laterEnded(c store.Change, state simState, readySince func(time.Time) bool) {
	op := c.Operation
	if op.Later == nil || j.laters[op.Later.ID] == nil {
		return
	}
	w := j.laters[op.Later.ID]
	if next := c.Next; next != nil {
		w.became = true
		j.reached["later wish became an operation"]++
		if next.ID != op.Later.ID || next.Ref != op.Ref || next.ClientToken != string(next.ID) {
			j.blame("swallowed", "the later request %s of %s became %s of %s, token %s", op.Later.ID, op.Ref, next.ID, next.Ref, next.ClientToken)
		}
		o := j.op(next.ID)
		o.acked, o.token, o.ref, o.odd = true, next.ClientToken, next.Ref, w.odd
		j.tokens[next.ClientToken] = next.ID
		return
	}
	from := w.at
	if at := w.notBefore; at.After(from) {
		from = at
	}
	switch {
	case w.odd || !j.world.wall().Before(w.expires):
	case op.EndReason == store.ReasonReturnedToStopped || op.EndReason == store.ReasonAmbiguous || op.EndReason == store.ReasonUnobservable:
		j.blame("swallowed", "%s of %s ended %s %s and was requested again %v ago, but nothing starts it", op.ID, op.Ref, op.Phase, op.EndReason, j.world.now().Sub(w.at))
	case op.Phase == fsm.PhaseSucceeded && j.world.now().Sub(from) < 50*time.Minute && !readySince(from):
		j.blame("swallowed", "%s of %s SUCCEEDED and was requested again %v ago, but is %s and was not READY since", op.ID, op.Ref, j.world.now().Sub(w.at), state.state)
	case op.Phase == fsm.PhaseSucceeded:
		j.reached["later wish served"]++
	}
}

// readySince reports whether a session was READY at some time since a given time. The
// provider remembers one hour.
func (p *simProvider) readySince(ref engine.Ref, from, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := p.session(ref).states
	for i, x := range states {
		over := i+1 < len(states) && !states[i+1].at.After(from)
		if x.state == fsm.StateReady && !over && !x.at.After(now) {
			return true
		}
	}
	return false
}

// closeLater checks that the id of each acknowledged later request leads to an
// operation of its session. mu must be held.
func (j *simOracle) closeLater(s store.Store) {
	for id, w := range j.laters {
		op, err := s.Operation(context.Background(), id)
		if h := j.op(w.holder); err != nil && h.forgettable() || w.became && j.op(id).forgettable() { // it may be pruned
			continue
		}
		if err != nil || op.Ref != j.op(w.holder).ref || op.ID != id && op.ID != w.holder || op.ID == id != w.became {
			j.blame("lost", "the later request %s, which joined %s, leads to %s of %s, %v", id, w.holder, op.ID, op.Ref, err)
		}
	}
}
