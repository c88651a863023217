package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
)

// do carries out one act of the script: of the world, of users, or of the host.
func (h *simHost) do(a simAct) {
	switch a.do {
	case doUserStop, doUserStart:
		h.p.byHand(engine.Ref{StudioID: h.day.lanes[a.n].name, SessionID: fmt.Sprintf("ws-%d", a.m)}, a.do == doUserStop)
	case doClock:
		if h.rightAt == 0 {
			h.setClock(a.span)
			h.rightAt = h.world.elapsed() + 5*time.Minute
		}
	case doSleep:
		if h.asleep == 0 {
			h.asleep = h.world.elapsed() + a.span
			h.oracle.sleeps(h.world.now(), a.span)
			h.oracle.reach("sleeps")
		}
	default:
		h.whenUp(func() { h.act(a) })
	}
}

// act carries out an act of the host, while it is up.
func (h *simHost) act(a simAct) {
	l := h.life
	ctx := context.WithValue(context.Background(), byHost{}, true)
	switch a.do {
	case doStart, doRepeat:
		h.ask(a.n, h.request(a.n))
	case doStartMany:
		h.askMany(a.n, a.m)
	case doJoin:
		r := h.request(a.n)
		r.ClientToken = ""
		h.ask(-1, r)
	case doCancel:
		h.cancel(ctx, a.n)
	case doRetryNow:
		if id, ok := h.ids[a.n]; ok {
			h.check(l.e.RetryNow(ctx, id, "test"))
		}
	case doRetry:
		if id, ok := h.ids[a.n]; ok {
			r, err := l.e.Retry(ctx, id, "ann")
			h.receipt(-1, r, err)
		}
	case doNudge:
		l.e.Nudge()
	case doPause:
		h.pause(h.day.lanes[a.n].name, true)
	case doResume:
		h.pause(h.day.lanes[a.n].name, false)
	case doPrune:
		synctest.Wait() // Run goes on: without it no clock is untrusted
		_, err := l.e.Prune(ctx)
		h.check(err)
	case doExplain:
		h.explain(ctx)
	case doKill:
		h.downFor = a.span
		if a.by == dieAnyTime {
			l.kill(dieAnyTime)
		} else if h.killBy == 0 {
			l.armed.Store(int32(a.by) + 1)
			h.killBy = h.world.elapsed() + time.Hour
		}
	case doReopen:
		h.shut()
		h.upAt = h.world.elapsed() + a.span
	case doRerun:
		l.rerun()
	}
}

// check reports an error of a call that must not fail on a living host.
func (h *simHost) check(err error) {
	if err != nil && !h.life.dead.Load() && !errors.Is(err, store.ErrNotFound) { // inherit checks for this
		h.oracle.accuse("call", "%v", err)
	}
}

func (h *simHost) request(n int) engine.Request {
	a := h.day.asks[n]
	r := engine.Request{Ref: a.ref, ClientToken: a.token, RequestedBy: "ann"}
	if a.after > 0 {
		r.NotBefore = h.world.wall().Add(a.after)
	}
	if a.expiry > 0 {
		r.ExpiresAt = h.world.wall().Add(a.expiry)
	}
	return r
}

// ask makes one start, of the nth ask; -1: of none.
func (h *simHost) ask(n int, r engine.Request) {
	got, err := h.life.e.Start(context.Background(), r)
	h.receipt(n, got, err)
}

func (h *simHost) askMany(first, n int) {
	rs := make([]engine.Request, n)
	for i := range rs {
		rs[i] = h.request(first + i)
	}
	got, err := h.life.e.StartAll(context.Background(), rs)
	for i := range rs {
		if err != nil {
			h.receipt(first+i, engine.Receipt{}, err)
		} else {
			h.receipt(first+i, got[i], got[i].Err)
		}
	}
}

// receipt takes the result of an ask. The answers of a dead host are lost.
func (h *simHost) receipt(n int, r engine.Receipt, err error) {
	var conflict *store.ConflictError
	var expired *store.ExpiryError
	switch {
	case h.life.dead.Load():
		if n >= 0 {
			h.unsure = append(h.unsure, n)
		}
	case errors.As(err, &conflict), errors.As(err, &expired), errors.Is(err, engine.ErrNotEnded):
	case errors.Is(err, store.ErrNotFound): // a retry of a pruned operation: see simOp.forgettable
	case err != nil:
		h.oracle.accuse("call", "Start: %v", err)
	default:
		h.oracle.acknowledged(n, r)
		if h.rightAt > 0 || r.Operation.CreatedAt.After(h.world.now().Add(time.Minute)) {
			h.oracle.mu.Lock()
			h.oracle.op(r.Operation.ID).odd = true
			h.oracle.mu.Unlock()
		}
		if n >= 0 {
			h.ids[n] = r.Operation.ID
			if n%8 == 0 {
				h.wait(r.Operation.ID)
			}
		} else if r.ID != r.Operation.ID {
			h.wait(r.ID)
		}
	}
}

// wait waits for an operation's end, as a caller does.
func (h *simHost) wait(id store.ID) {
	l := h.life
	l.work.Go(func() {
		op, err := l.e.Wait(context.Background(), id)
		var end *engine.EndError
		switch {
		case l.dead.Load() || errors.Is(err, engine.ErrClosed):
		case err == nil && op.Phase == "SUCCEEDED":
			h.oracle.reach("waited for")
		case errors.As(err, &end) && end.Operation.Phase.Ended():
		default:
			h.oracle.accuse("wait", "%s: Wait returned %s, %v", id, op.Phase, err)
		}
	})
}

func (h *simHost) cancel(ctx context.Context, n int) {
	id, ok := h.ids[n]
	if !ok {
		return
	}
	h.oracle.withdraws(id)
	got, err := h.life.e.Cancel(ctx, id, "ann")
	if h.check(err); err != nil || h.life.dead.Load() {
		return
	}
	h.oracle.reach("cancel: " + got.String())
	if got == engine.CancellationNeverSent {
		h.oracle.mu.Lock()
		h.oracle.op(id).canceled = true
		h.oracle.mu.Unlock()
	}
}

func (h *simHost) pause(lane string, on bool) {
	j := h.oracle
	pause := h.life.e.Resume
	if on {
		pause = h.life.e.Pause
	}
	if !on { // from now on the lane may send
		j.mu.Lock()
		j.lanes[lane].paused = time.Time{}
		j.mu.Unlock()
	}
	err := pause(context.Background(), lane, "ann")
	if h.life.dead.Load() { // the answer is lost: see inherit
		j.mu.Lock()
		j.lanes[lane].unsure = true
		j.mu.Unlock()
		return
	}
	if h.check(err); err == nil && on {
		j.mu.Lock()
		j.lanes[lane].paused = time.Now()
		j.mu.Unlock()
	}
}

// explain asks why each active operation waits.
func (h *simHost) explain(ctx context.Context) {
	l := h.life
	settled := h.rightAt == 0 && h.world.elapsed()-h.odd > 30*time.Minute
	for op, err := range l.e.List(ctx, engine.Filter{Active: true}) {
		if err != nil {
			h.check(err)
			return
		}
		x, err := l.e.Explain(ctx, op.ID)
		if err != nil {
			h.check(err)
			return
		}
		if h.plant.explain != nil {
			x = h.plant.explain(x)
		}
		h.oracle.explained(l, x, settled)
	}
}
