package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// fuse is a context that ends after it was checked so many times.
type fuse struct {
	context.Context
	left *atomic.Int64
	end  context.CancelFunc
}

func burning(ctx context.Context, looks int) fuse {
	ctx, end := context.WithCancel(ctx)
	f := fuse{Context: ctx, left: new(atomic.Int64), end: end}
	f.left.Store(int64(looks))
	return f
}

func (f fuse) Err() error {
	if f.left.Add(-1) < 0 {
		f.end()
	}
	return f.Context.Err()
}

// TestInterrupted ends the context of each long call at the first check of it, at the
// second, and so on. The call returns the context's error, leaves nothing behind, and leaves
// the file unchanged.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	const n = format.PageSize + 50 // so that there is a second check
	for i := range n {
		put(t, s, numbered(i))
	}
	folder := t.TempDir()
	backup := filepath.Join(folder, "copy.db")
	interrupt := func(name string, most int, call func(ctx context.Context) error) {
		for n := 0; ; n++ {
			err := call(burning(t.Context(), n))
			if err == nil {
				if n < 2 {
					t.Errorf("%s checks its context only %d times", name, n)
				}
				return
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, ended at check %d: %v", name, n, err)
			}
			if n > most {
				t.Fatalf("%s checks its context more than %d times", name, most)
			}
			for _, in := range []string{folder, filepath.Dir(path)} {
				if left, _ := filepath.Glob(filepath.Join(in, "*"+disk.TempInfix+"*")); len(left) > 0 {
					t.Fatalf("%s, ended at check %d, leaves %q", name, n, left)
				}
			}
		}
	}
	interrupt("Backup", 1000, func(ctx context.Context) error { return s.Backup(ctx, backup) })
	interrupt("Check", 1000, func(ctx context.Context) error { _, err := s.Check(ctx); return err })
	interrupt("List", 1000, func(ctx context.Context) error { _, err := listed(ctx, s); return err })
	if got := clean(t, s); got != n {
		t.Errorf("%d operations, want %d", got, n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	interrupt("Verify", 1000, func(ctx context.Context) error { _, err := repair.Check(ctx, path, repair.CheckConfig{}); return err })
	flipBit(t, path, format.BucketEvents, format.SeqKey(7))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	interrupt("Repair", 1000, func(ctx context.Context) error {
		_, err := repair.Repair(ctx, path, repair.Config{})
		if now, rerr := os.ReadFile(path); err != nil && (rerr != nil || !bytes.Equal(now, before)) {
			t.Errorf("an interrupted Repair changed the file: %v", rerr)
		}
		return err
	})
	clean(t, openTest(t, path, Config{noSync: true}))
}

// TestInterruptedWaits checks that a call whose context ends while the committer is busy
// returns at once. Its request may be stored all the same. A claim whose context has
// ended claims nothing.
func TestInterruptedWaits(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "before")
	busy, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.commit(t.Context(), 1, func(*batch) error {
			close(busy)
			<-goOn
			return nil
		})
	}()
	<-busy
	ctx, end := context.WithCancel(t.Context())
	waited := make(chan error)
	o := testOp("late")
	go func() {
		_, err := s.Enqueue(ctx, []store.Operation{o})
		waited <- err
	}()
	for asked := false; !asked; time.Sleep(time.Millisecond) { // until it waits in the queue
		s.queue.mu.Lock()
		asked = len(s.queue.waiting) > 0
		s.queue.mu.Unlock()
	}
	end()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("Enqueue: %v, want that its context ended", err)
	}
	room := store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: 9}}}
	for looks := range 2 { // before it claims, and when it reads what it claimed
		if c, err := own(t, s).Claim(burning(t.Context(), looks), room); !errors.Is(err, context.Canceled) || len(c.Operations) > 0 {
			t.Errorf("Claim: %+v, %v", c, err)
		}
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if rs, err := s.Enqueue(t.Context(), []store.Operation{o}); err != nil || rs[0].Created {
		t.Errorf("requested again: %+v, %v, want that the first was stored", rs, err)
	}
	if c, err := own(t, s).Claim(t.Context(), room); err != nil || len(c.Operations) != 2 {
		t.Errorf("claimed %d, %v, want both", len(c.Operations), err)
	}
}

// TestInterruptedEnds checks that a release and a prune whose context ends return its error,
// at whichever check, and have removed nothing.
func TestInterruptedEnds(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "b")
	put(t, s, "a")
	c, err := own(t, s).Claim(t.Context(), store.ClaimRequest{Now: testTime(), Lanes: []store.LaneSlots{{Lane: "s", Sends: 1}}})
	if err != nil || len(c.Operations) != 1 {
		t.Fatalf("claimed %+v, %v", c, err)
	}
	o := c.Operations[0]
	o.Phase = fsm.PhaseStarting
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	for looks := range 2 {
		if err := own(t, s).Release(burning(t.Context(), looks), []store.Operation{o}); !errors.Is(err, context.Canceled) {
			t.Errorf("Release, ended at check %d: %v", looks, err)
		}
	}
	o.Phase, o.Version, o.FinishedAt = fsm.PhaseFailed, o.Version+1, testTime()
	if errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	for looks := range 2 { // before it finds what ended, and before it removes that
		n, err := s.Prune(burning(t.Context(), looks), store.Retention{EndedSince: testTime().Add(1)})
		if n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("Prune of operations, ended at check %d: %d, %v", looks, n, err)
		}
	}
	if n, err := s.Prune(burning(t.Context(), 0), store.Retention{Events: 1}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Prune: %d, %v", n, err)
	}
}

// TestDamagedMeanwhile damages the head of a record whose checksum is right. A change of it
// is refused, and the store goes on. The same holds for a change with an event that cannot
// be stored.
func TestDamagedMeanwhile(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	o, whole := put(t, s, "a"), put(t, s, "b")
	key, _ := format.ParseID(o.ID)
	if err := s.commit(t.Context(), 1, func(b *batch) error {
		b.Put(b.Ops, key[:], format.Seal(key[:], []byte("no head")))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}, {Operation: whole}})
	if err != nil || !errors.Is(errs[0], store.ErrCorrupt) || errs[1] != nil {
		t.Errorf("%v, %v, want ErrCorrupt for the first", errs, err)
	}
	whole.Version++
	ev := store.Event{Operation: whole.ID, Ref: whole.Ref, From: whole.Phase, To: "no phase", At: testTime()}
	if _, err := s.Apply(t.Context(), []store.Change{{Operation: whole, Events: []store.Event{ev}}}); err == nil || !strings.Contains(err.Error(), "no phase") {
		t.Errorf("%v, want an error that names the phase", err)
	}
}
