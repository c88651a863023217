package bolt

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// TestRefused checks that an operation that no record can hold, and a change that is not
// allowed, are refused. The error says why, and nothing of the call is stored.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	there := put(t, s, "there")
	ended := put(t, s, "ended")
	ended.Phase, ended.FinishedAt = fsm.PhaseFailed, testTime()
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: ended}}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	ended.Version++
	for _, c := range []struct {
		want  string
		of    store.Operation
		spoil func(o *store.Operation)
	}{
		{"is not the canonical text of a UUID", testOp("new"), func(o *store.Operation) { o.ID = "one" }},
		{"has no client token", testOp("new"), func(o *store.Operation) { o.ClientToken = "" }},
		{"phase \"DOZING\" is not known", testOp("new"), func(o *store.Operation) { o.Phase = "DOZING" }},
		{"has 65536 bytes", testOp("new"), func(o *store.Operation) { o.Lane = strings.Repeat("l", math.MaxUint16+1) }},
		{"session s/sss", testOp(strings.Repeat("s", 1<<15)), func(*store.Operation) {}}, // otherwise it could never end
		{"is taken", testOp("new"), func(o *store.Operation) { o.ID, o.ClientToken = there.ID, "another" }},
	} {
		c.spoil(&c.of)
		if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("beside"), c.of}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("enqueued: %v, want %q", err, c.want)
		}
	}
	for _, c := range []struct {
		want  string
		of    store.Operation
		spoil func(c *store.Change)
	}{
		{"is not the canonical text of a UUID", there, func(c *store.Change) { c.Operation.ID = "one" }},
		{"phase \"\" is not known", there, func(c *store.Change) { c.Operation.Phase = "" }},
		{"cannot be stored", there, func(c *store.Change) { c.Events = []store.Event{{Operation: "one"}} }},
		{"its lane cannot change", there, func(c *store.Change) { c.Operation.Lane = "another" }},
		{"cannot become QUEUED", ended, func(c *store.Change) { c.Operation.Phase = fsm.PhaseQueued }},
	} {
		change := store.Change{Operation: c.of}
		c.spoil(&change)
		if _, err := s.Apply(t.Context(), []store.Change{change, {Operation: there}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("applied: %v, want %q", err, c.want)
		}
	}
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: testOp("unknown")}}); err != nil || !errors.Is(errs[0], store.ErrNotFound) {
		t.Errorf("a change of an operation that is not stored: %v, %v", errs, err)
	}
	all, err := listed(t.Context(), s)
	if err != nil || len(all) != 2 || all["there"].Version != there.Version {
		t.Errorf("%d operations, %v, and the one that is there has version %d: want nothing changed", len(all), err, all["there"].Version)
	}
	if n := clean(t, s); n != 2 {
		t.Errorf("%d operations are on disk, want 2", n)
	}
}

// TestLaneNames checks that a text that can be no lane's name is refused, and nothing is
// stored.
func TestLaneNames(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	for _, lane := range []string{"", strings.Repeat("x", 1025)} {
		for _, err := range []error{
			s.SetPaused(t.Context(), lane, true, "mo", testTime()), s.SetRetryAfter(t.Context(), lane, testTime(), testTime()),
		} {
			if err == nil || !strings.Contains(err.Error(), "1 to 1024") {
				t.Errorf("a name of %d bytes: %v", len(lane), err)
			}
		}
	}
	if lanes, err := s.Lanes(t.Context()); err != nil || len(lanes) != 0 {
		t.Errorf("%+v, %v", lanes, err)
	}
}
