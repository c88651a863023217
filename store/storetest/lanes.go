package storetest

import (
	"slices"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

func laneTests() []test {
	return []test{
		{"a pause, a retry-after and a pace", lanesKept},
		{"a pause alone does not prevent a claim", pauseIsRecord},
		{"a block", blockKept},
	}
}

func (e *env) wantLanes(want ...store.Lane) {
	e.Helper()
	got, err := e.Lanes(e.ctx)
	if err != nil || !slices.Equal(got, want) {
		e.Errorf("lanes %+v, %v, want %+v", got, err, want)
	}
}

func lanesKept(e *env) {
	e.wantLanes()
	set := func(err error) {
		if err != nil {
			e.Fatal(err)
		}
	}
	until, heard := e.at(time.Minute), e.now
	set(e.SetRetryAfter(e.ctx, "b", until, heard))
	set(e.SetPaused(e.ctx, "b", true, "mo", e.at(1)))
	set(e.SetPaused(e.ctx, "a", true, "jo", e.now))
	set(e.SetPace(e.ctx, "b", 10, e.at(3)))
	b := store.Lane{Name: "b", Paused: true, PausedBy: "mo", PausedAt: e.at(1), RetryAfter: until, RetryAfterHeard: heard, Pace: 10, ThrottledAt: e.at(3)}
	e.wantLanes(store.Lane{Name: "a", Paused: true, PausedBy: "jo", PausedAt: e.now}, b)
	set(e.SetPaused(e.ctx, "a", false, "al", e.at(2)))
	set(e.SetRetryAfter(e.ctx, "b", time.Time{}, time.Time{}))
	b.RetryAfter, b.RetryAfterHeard = time.Time{}, time.Time{}
	set(e.SetPace(e.ctx, "b", 0, time.Time{}))
	set(e.SetPace(e.ctx, "c", 7, time.Time{}))
	b.Pace, b.ThrottledAt = 0, time.Time{}
	e.reopen()
	e.wantLanes(store.Lane{Name: "a", PausedBy: "al", PausedAt: e.at(2)}, b, store.Lane{Name: "c", Pace: 7})
}

func blockKept(e *env) {
	set := func(err error) {
		if err != nil {
			e.Fatal(err)
		}
	}
	l := store.Lane{Name: "a", Paused: true, PausedBy: "mo", PausedAt: e.now}
	set(e.SetPaused(e.ctx, "a", true, "mo", e.now))
	l.Block = store.Block{Reason: "offline", Since: e.at(-time.Hour), Error: "no route to host", Kind: transport.KindUnreachable, At: e.now}
	set(e.SetBlock(e.ctx, "a", l.Block))
	e.wantLanes(l)
	e.reopen()
	e.wantLanes(l)
	l.Block = store.Block{}
	set(e.SetBlock(e.ctx, "a", l.Block))
	e.wantLanes(l)
	for name, want := range map[string]store.Lane{"a": l, "b": {Name: "b"}, "": {}} {
		if got, err := e.Lane(e.ctx, name); err != nil || got != want {
			e.Errorf("lane %q: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func pauseIsRecord(e *env) {
	if err := e.SetPaused(e.ctx, "s", true, "mo", e.now); err != nil {
		e.Fatal(err)
	}
	o := e.enqueue(e.op("s", "1"))
	e.wantOps("a paused lane's operation", e.claim("s", 9, 9), o...)
	e.wantLanes(store.Lane{Name: "s", Paused: true, PausedBy: "mo", PausedAt: e.now})
}
