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
	if !r.e.home.Load() { // the store may be foreign, and its operations another machine's
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

// maxClaims is how many lanes, and how many overdue operations, one claim may take.
const maxClaims = 256

// plan returns what can be claimed now. That is work of the lanes that have been ready
// longest, up to a bound, and operations that have passed their deadline.
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
	if ok, _ := r.watch.trusted(mono); ok && isDue(r.deadline, now) {
		req.Overdue = max(0, min(maxClaims, free))
		free -= req.Overdue
	}
	for len(r.ready) > 0 && len(req.Lanes) < maxClaims && free > 0 {
		l := r.ready[0]
		if l.next.After(now) {
			break
		}
		slots, next := l.freeSlots(now, mono)
		switch {
		case slots.Sends > 0 || slots.Reads > 0:
			heap.Pop(&r.ready)
			starts, batch := max(1, l.starts), max(1, l.batch)
			slots.Sends = min(slots.Sends, free*starts)
			slots.Reads = min(slots.Reads, free*batch)
			free -= (slots.Sends+starts-1)/starts + (slots.Reads+batch-1)/batch
			req.Lanes = append(req.Lanes, slots)
		case next.IsZero():
			heap.Pop(&r.ready)
		default:
			r.ready.put(l, next)
		}
	}
	return req
}

// dueCounts returns how often Due had reported something when a claim begins: for each
// lane, and last for all.
func (r *run) dueCounts(slots []store.LaneSlots) []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]uint64, len(slots), len(slots)+1)
	for i, s := range slots {
		out[i] = r.lanes[s.Lane].merges
	}
	return append(out, r.dues)
}

// assign gives workers what was claimed, and stores when the rest is due. If Due has
// reported more about a lane since the claim began, the earlier time counts. A claim that
// takes nothing is harmless, and a missed one is not.
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
		r.handOut(r.lane(ops[0].Lane), ops[:n:n])
		ops = ops[n:]
	}
}

// together returns how many of ops, from the first on, can share one call. They are of
// one lane, and all are to be sent, or all are to be read.
func together(ops []store.Operation) int {
	n := 1
	for n < len(ops) && ops[n].Lane == ops[0].Lane && (ops[n].Sent == store.SentNo) == (ops[0].Sent == store.SentNo) {
		n++
	}
	return n
}

// handOut gives workers operations that can share calls. mu must be held.
func (r *run) handOut(l *lane, ops []store.Operation) {
	if l.block != nil && !l.block.inTrial {
		l.block.inTrial = true
		l.reading++
		first := ops[0]
		r.spawn(l, func(l *lane) { r.trial(l, first) })
		ops = ops[1:]
	}
	switch {
	case len(ops) == 0:
	case l.block != nil: // the lane has become blocked since
		r.spawn(l, func(*lane) { r.release(ops...) })
	case ops[0].Sent == store.SentNo:
		l.starts = transport.TraitsOf(r.e.transport, ops[0].Ref).MaxStarts
		r.spawnCalls(l, ops, l.starts, &l.sending, r.send)
	default:
		l.batch = transport.TraitsOf(r.e.transport, ops[0].Ref).MaxBatch
		r.spawnCalls(l, ops, l.batch, &l.reading, r.readSessions)
	}
}

// spawnCalls starts a worker for each call. A call is for up to size operations of one
// lane. mu must be held.
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

// idleFor returns how long there is nothing to do. A negative time means that nothing
// is active.
func (r *run) idleFor() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, mono := r.e.now(), time.Now()
	next := r.deadline
	if ok, left := r.watch.trusted(mono); !ok && !next.IsZero() && next.Before(now.Add(left)) {
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

// noticeJump acts on a wall clock that jumped. Trial calls are due at once, since the
// machine may have slept and may have another network now. Stored times of the run move
// along with a clock that was set back. Code that compares with the wall clock, or dates
// a send by it, calls noticeJump first. A call in flight may return before the dispatcher
// wakes. The caller holds mu.
func (r *run) noticeJump() {
	now, seen := r.e.now(), r.watch.wall
	jump := r.watch.jumped(now, time.Now(), r.e.up())
	if r.watch.wrong {
		r.savedClock.behaved, r.confirmed = false, false
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
		r.sleeps = addSpan(r.sleeps, decide.Span{From: now.Add(-jump), To: now}) // nothing was read while the machine slept
	} else {
		r.setBack = now
		r.sleeps = takeBack(r.sleeps, -jump)
		r.ahead = addSpan(r.ahead, decide.Span{From: last, To: seen})
		r.began = r.began.Add(jump)
	}
	for _, l := range r.lanes {
		l.clock, l.dateAsked = decide.ProviderClock{}, false
		if jump < 0 {
			l.setBack(jump)
		}
		r.prompt(l, now)
		r.ready.put(l, now)
	}
	r.jumps = append(r.jumps, jump)
	r.poke()
}

// followJumps is the dispatcher's part: it brings forward what a clock that was ahead
// has put off.
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
	if back { // an operation with a long backoff is tried early, once
		r.bringForward(ctx, decide.Quick.Most)
	}
}

// bringForward makes due within d what a clock that was ahead has put off.
func (r *run) bringForward(ctx context.Context, d time.Duration) {
	if err := r.claims.BringForward(ctx, r.e.now().Add(d)); err != nil && ctx.Err() == nil {
		r.fail(err)
	}
}

const (
	pruneEvery = time.Hour
	sweepEvery = time.Minute
)

// housekeep forgets idle lanes, stores the clock record, and prunes once an hour.
// It does not prune by an untrusted clock: one that is a year ahead would remove every
// token. It runs only when the dispatcher is awake anyway.
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
				if *l.stored == (store.Lane{Name: name}) { // a Retry-After may be over by this clock and not by the right one
					delete(r.stored, name)
				}
			}
			l.quiet = idle
		}
	}
	if r.clockRecordDue(mono) {
		r.work.Go(r.saveClockRecord)
	}
	if trusted, _ := r.watch.trusted(mono); trusted && mono.Sub(r.pruned) > pruneEvery {
		r.pruned = mono
		r.work.Go(r.prune)
	}
}

// prune removes what Config.KeepEvents and Config.Keep allow to remove.
func (r *run) prune() {
	n, err := r.e.Prune(r.calls)
	if err != nil && r.calls.Err() == nil {
		r.e.log.Warn("pruning failed", "error", err)
	} else if n > 0 {
		r.e.log.Info("pruned", "records", n)
	}
}

// laneHeap holds the lanes that have something to do, ordered by when. A lane knows its
// place in it, so that it can be moved.
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

// put makes the lane due at t. The lane may be in the heap already.
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
