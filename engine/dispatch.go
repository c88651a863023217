package engine

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// dispatch gives workers all that can be done now. It returns how long there is nothing
// more to do; a negative time means until something changes.
func (r *run) dispatch(ctx context.Context) time.Duration {
	if !r.e.home.Load() { // the store may be foreign, and another machine carry it out
		return -1
	}
	r.followJumps(ctx)
	for ctx.Err() == nil {
		req := r.plan()
		if len(req.Lanes) == 0 && req.Overdue == 0 {
			break
		}
		known := r.dueCounts(req.Lanes)
		got, err := r.claims.Claim(ctx, req)
		if err != nil {
			if ctx.Err() == nil {
				r.fail(err)
			}
			return 0
		}
		r.assign(req, got, known)
	}
	r.readLate()
	r.housekeep()
	return r.idleFor()
}

// maxRooms bounds one claim.
const maxClaims = 256

// plan returns what can be claimed now: from the lanes that have been ready longest, up
// to a bound, and operations that have passed their deadline.
func (r *run) plan() store.ClaimRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, mono := r.e.now(), time.Now()
	req := store.ClaimRequest{Now: now}
	if !r.fullAt.IsZero() {
		if mono.Sub(r.fullAt) < fullPause {
			return req
		}
		r.fullAt = time.Time{}
	}
	free := maxInFlight - r.inFlight // workers
	if ok, _ := r.watch.believed(mono); ok && isDue(r.deadline, now) {
		req.Overdue = max(0, min(maxClaims, free))
		free -= req.Overdue
	}
	for len(r.ready) > 0 && len(req.Lanes) < maxClaims && free > 0 {
		l := r.ready[0]
		if l.next.After(now) {
			break
		}
		room, next := l.freeSlots(now, mono)
		switch {
		case room.Sends > 0 || room.Reads > 0:
			heap.Pop(&r.ready)
			starts, batch := max(1, l.starts), max(1, l.batch)
			room.Sends = min(room.Sends, free*starts)
			room.Reads = min(room.Reads, free*batch)
			free -= (room.Sends+starts-1)/starts + (room.Reads+batch-1)/batch
			req.Lanes = append(req.Lanes, room)
		case next.IsZero():
			heap.Pop(&r.ready)
		default:
			r.ready.put(l, next)
		}
	}
	return req
}

// known is how much Due had told when a claim began: of each lane, and at last
// of all.
func (r *run) dueCounts(rooms []store.LaneSlots) []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]uint64, len(rooms), len(rooms)+1)
	for i, room := range rooms {
		out[i] = r.lanes[room.Lane].merges
	}
	return append(out, r.dues)
}

// assign gives workers what was claimed, and stores when the rest is due. If Due has
// reported more about a lane since the claim began, the earlier time counts: a claim
// that takes nothing is harmless, and a missed one is not.
func (r *run) assign(req store.ClaimRequest, got store.Claimed, known []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, due := range got.Lanes {
		l := r.lanes[req.Lanes[i].Lane]
		if l.merges == known[i] {
			l.due = due
		} else {
			l.due.Send, l.due.Read = earliest(l.due.Send, due.Send), earliest(l.due.Read, due.Read)
		}
		r.ready.put(l, r.e.now())
	}
	if req.Overdue > 0 {
		if r.dues == known[len(known)-1] {
			r.deadline = got.Deadline
		} else {
			r.deadline = earliest(r.deadline, got.Deadline)
		}
		for _, op := range got.Overdue {
			r.spawn(r.lane(op.Lane), func(l *lane) { r.overdue(l, op) })
		}
	}
	for ops := got.Operations; len(ops) > 0; {
		n := together(ops)
		r.hand(r.lane(ops[0].Lane), ops[:n:n])
		ops = ops[n:]
	}
}

// together is how many of ops, from the first on, can go by one call: they are of
// one lane, and all of them to be sent, or all to be looked at.
func together(ops []store.Operation) int {
	n := 1
	for n < len(ops) && ops[n].Lane == ops[0].Lane && (ops[n].Sent == store.SentNo) == (ops[0].Sent == store.SentNo) {
		n++
	}
	return n
}

// hand gives workers what goes together. mu must be held.
func (r *run) hand(l *lane, ops []store.Operation) {
	if l.block != nil && !l.block.inTrial {
		l.block.inTrial = true
		l.looking++
		first := ops[0]
		r.spawn(l, func(l *lane) { r.trial(l, first) })
		ops = ops[1:]
	}
	switch {
	case len(ops) == 0:
	case l.block != nil: // the lane was shut meanwhile
		r.spawn(l, func(*lane) { r.release(ops...) })
	case ops[0].Sent == store.SentNo:
		l.starts = transport.TraitsOf(r.e.transport, ops[0].Ref).MaxStarts
		r.spawnCalls(l, ops, l.starts, &l.sending, r.send)
	default:
		l.batch = transport.TraitsOf(r.e.transport, ops[0].Ref).MaxBatch
		r.spawnCalls(l, ops, l.batch, &l.looking, r.readSessions)
	}
}

// spawnCalls makes calls of operations that share a lane, each of up to size of
// them. mu must be held.
func (r *run) spawnCalls(l *lane, ops []store.Operation, size int, inFlight *int, work func(*lane, []store.Operation)) {
	for part := range slices.Chunk(ops, max(1, size)) {
		*inFlight++
		l.pace.take(time.Now())
		r.spawn(l, func(l *lane) { work(l, part) })
	}
}

// spawn starts a worker. Nothing else touches its operations until it returns. mu must
// be held.
func (r *run) spawn(l *lane, work func(*lane)) {
	r.inFlight++
	r.work.Go(func() {
		work(l)
		r.mu.Lock()
		r.inFlight--
		r.ready.put(l, r.e.now())
		r.mu.Unlock()
		r.poke()
	})
}

// nap is how long there is nothing to do; negative: nothing is active.
func (r *run) idleFor() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, mono := r.e.now(), time.Now()
	next := r.deadline
	if ok, left := r.watch.believed(mono); !ok && !next.IsZero() && next.Before(now.Add(left)) {
		next = now.Add(left)
	}
	if len(r.ready) > 0 {
		next = earliest(next, r.ready[0].next)
	}
	next = earliest(next, r.nextLate())
	if !r.fullAt.IsZero() {
		next = now.Add(fullPause - mono.Sub(r.fullAt))
	}
	switch {
	case r.inFlight >= maxInFlight, next.IsZero() && r.inFlight > 0:
		return decide.LongestSleep // the end of a call wakes the dispatcher
	case next.IsZero():
		return -1
	}
	return max(next.Sub(now), 0)
}

// noticeJump acts on a wall clock that jumped: probes are prompt, for the
// machine may have slept and be elsewhere now; and what was noted on the clock
// moves along. Whoever judges by the wall clock, or dates a send by it, calls it
// first: a call that was in flight may come back before the dispatcher wakes. mu
// must be held.
func (r *run) noticeJump() {
	now, seen := r.e.now(), r.watch.wall
	jump := r.watch.jumped(now, time.Now(), r.e.up())
	if r.watch.wrong {
		r.kept.clock, r.confirmed = false, false
	}
	if jump == 0 {
		return
	}
	last := r.steady
	if last.IsZero() {
		last = r.began
	}
	r.steady = now
	if jump > 0 {
		r.sleeps = addSpan(r.sleeps, decide.Span{From: now.Add(-jump), To: now}) // nobody looked while we slept
	} else {
		r.setBack = now
		r.sleeps = takeBack(r.sleeps, -jump)
		r.ahead = addSpan(r.ahead, decide.Span{From: last, To: seen})
		r.began = r.began.Add(jump)
	}
	for _, l := range r.lanes {
		l.clock, l.clockAsked = decide.ProviderClock{}, false
		if jump < 0 {
			l.setBack(jump)
		}
		r.prompt(l, now)
		r.ready.put(l, now)
	}
	r.jumps = append(r.jumps, jump)
	r.poke()
}

// followJumps is the dispatcher's part: what a clock that was ahead has put off
// is pulled in.
func (r *run) followJumps(ctx context.Context) {
	r.mu.Lock()
	r.noticeJump()
	jumps := r.jumps
	r.jumps = nil
	r.mu.Unlock()
	back := false
	for _, jump := range jumps {
		back = back || jump < 0
		r.e.log.Info("the wall clock jumped", "by", jump)
	}
	if back { // what waits for long by its backoff goes earlier for once
		r.bringForward(ctx, decide.Quick.Most)
	}
}

// pull makes due within d what a clock that was ahead has put off.
func (r *run) bringForward(ctx context.Context, d time.Duration) {
	if err := r.claims.BringForward(ctx, r.e.now().Add(d)); err != nil && ctx.Err() == nil {
		r.fail(err)
	}
}

const (
	pruneEvery = time.Hour
	sweepEvery = time.Minute
)

// housekeep forgets idle lanes, and starts pruning now and then, but not by a
// clock in doubt: one that is a year ahead would make it forget every token.
// Both happen only when the dispatcher is awake anyway.
func (r *run) housekeep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	mono := time.Now()
	if mono.Sub(r.swept) > sweepEvery {
		r.swept = mono
		for name, l := range r.lanes {
			idle := l.idle() && l.block == nil
			if idle && l.quiet {
				r.ready.remove(l)
				delete(r.lanes, name)
				if *l.stored == (store.Lane{Name: name}) { // a Retry-After that is over by this clock may not be by the right one
					delete(r.stored, name)
				}
			}
			l.quiet = idle
		}
	}
	if r.clockNews(mono) {
		r.work.Go(r.keepClock)
	}
	if trusted, _ := r.watch.believed(mono); trusted && mono.Sub(r.pruned) > pruneEvery {
		r.pruned = mono
		r.work.Go(r.prune)
	}
}

// prune is a worker.
func (r *run) prune() {
	n, err := r.e.Prune(r.calls)
	if err != nil && r.calls.Err() == nil {
		r.e.log.Warn("pruning failed", "error", err)
	} else if n > 0 {
		r.e.log.Info("pruned", "records", n)
	}
}

// laneHeap is the lanes that have something to do, by when. A lane knows its
// place, so that it can be moved.
type laneHeap []*lane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push and Pop are container/heap's.
func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.at = len(*h)
	*h = append(*h, l)
}

// Pop is container/heap's.
func (h *laneHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.at = -1
	return l
}

// put makes the lane due at t, whether or not it was in the heap.
func (h *laneHeap) put(l *lane, t time.Time) {
	l.next = t
	if l.at < 0 {
		heap.Push(h, l)
	} else {
		heap.Fix(h, l.at)
	}
}

func (h *laneHeap) remove(l *lane) {
	if l.at >= 0 {
		heap.Remove(h, l.at)
	}
}
