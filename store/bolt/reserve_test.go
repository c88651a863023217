package bolt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// fullness is one run of a store with too little space. It is filled, and active operations
// must end all the same. Then there is space again.
type fullness struct {
	*testing.T
	path   string
	config Config
	rng    *rand.Rand
	// fullest makes another program use the rest of the disk.
	fullest func()
	// relieve frees space, and returns how much. If that is little, pruning must free the
	// rest.
	relieve func() int64
	deaf    bool // Stats cannot know that the disk is full
}

// drawn returns an operation of some size.
func (f *fullness) drawn(n int) store.Operation {
	o := testOp(numbered(n))
	o.ClientToken = fmt.Sprintf("token-%d", n)
	o.Reason = strings.Repeat("y", f.rng.IntN(900))
	return o
}

// run does everything, and returns how many starts were acknowledged.
func (f *fullness) run() int {
	s := openTest(f.T, f.path, f.config)
	acked := f.fill(s, 0)
	if f.fullest != nil {
		f.fullest()
	}
	f.repeats(s, acked)
	f.endAll(s, acked)
	if f.relieve == nil || f.relieve() < 512<<10 {
		f.prune(s)
	}
	// Without a restart the store accepts starts again, and has them after a restart.
	more := f.fill(s, len(acked))
	if len(more) == 0 {
		f.Fatal("with space again no start is accepted")
	}
	if err := s.Close(); err != nil {
		f.Error(err)
	}
	s = openTest(f.T, f.path, f.config)
	defer s.Close()
	clean(f.T, s)
	for _, o := range more {
		if _, err := s.Operation(f.Context(), o.ID); err != nil {
			f.Errorf("%s was acknowledged: %v", o.ID, err)
		}
	}
	return len(acked) + len(more)
}

// fill starts operations until the store refuses them.
func (f *fullness) fill(s *Store, from int) []store.Operation {
	f.Helper()
	var acked []store.Operation
	few := 40
	for refused := 0; refused < 3; {
		ops := make([]store.Operation, 1+f.rng.IntN(few))
		for i := range ops {
			ops[i] = f.drawn(from + len(acked) + i)
		}
		rs, err := s.Enqueue(f.Context(), ops)
		switch {
		case errors.Is(err, store.ErrFull):
			if !strings.Contains(err.Error(), "can end") || !strings.Contains(err.Error(), f.path) {
				f.Fatalf("refused by %q, which says neither why nor what to do", err)
			}
			if len(ops) == 1 {
				refused++
			}
			few = 1
			continue
		case err != nil:
			f.Fatalf("Enqueue: %v", err)
		}
		for _, r := range rs {
			acked = append(acked, r.Operation)
		}
		f.bounded(s)
	}
	if len(acked) == 0 {
		f.Fatal("no start was accepted")
	}
	if st, err := s.Stats(f.Context()); err != nil || !f.deaf && !errors.Is(st.Full, store.ErrFull) {
		f.Errorf("Stats say full %v, %v, where starts are refused", st.Full, err)
	}
	return acked
}

// bounded fails if the file is larger than it may be.
func (f *fullness) bounded(s *Store) {
	f.Helper()
	if size, err := disk.FileSize(s.path); err != nil || f.config.MaxSize > 0 && size > f.config.MaxSize {
		f.Fatalf("the file has %d bytes, %v: at most %d are allowed", size, err, f.config.MaxSize)
	}
}

// repeats repeats stored requests, which must be answered even on a full disk.
func (f *fullness) repeats(s *Store, acked []store.Operation) {
	f.Helper()
	o := acked[f.rng.IntN(len(acked))]
	again := f.drawn(0)
	again.Ref, again.ClientToken = o.Ref, o.ClientToken
	rs, err := s.Enqueue(f.Context(), []store.Operation{again})
	if err != nil || rs[0].Err != nil || rs[0].Created || rs[0].Operation.ID != o.ID {
		f.Errorf("the same token again: %+v, %v", rs, err)
	}
}

// endAll carries each operation through all its changes, some operations at a time.
func (f *fullness) endAll(s *Store, ops []store.Operation) {
	f.Helper()
	f.rng.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
	for left := ops; len(left) > 0; {
		part := left[:min(len(left), 1+f.rng.IntN(200))]
		left = left[len(part):]
		for _, step := range lifeSteps {
			changes := make([]store.Change, len(part))
			for i := range part {
				changes[i] = step(part[i])
			}
			errs, err := s.Apply(f.Context(), changes)
			if err = errors.Join(append(errs, err)...); err != nil {
				f.Fatalf("an active operation cannot be changed: %v", err)
			}
			for i := range part {
				part[i] = changes[i].Operation
				part[i].Version++
			}
			f.bounded(s)
		}
	}
	if err := s.SetPaused(f.Context(), "s", true, "mo", testTime()); err != nil {
		f.Errorf("a pause: %v", err)
	}
	st, err := s.Stats(f.Context())
	if err != nil || st.Operations[fsm.PhaseSucceeded] < len(ops) || st.Operations[fsm.PhaseQueued]+st.Operations[fsm.PhaseStarting] != 0 {
		f.Errorf("afterwards %v, %v: %d were acknowledged", st.Operations, err, len(ops))
	}
}

// lifeSteps are the changes of an operation that succeeds after a refusal.
var lifeSteps = []func(store.Operation) store.Change{
	func(o store.Operation) store.Change { // its intent
		o.Sent, o.SentAt, o.LastSentAt, o.Attempts = store.SentUnknown, testTime(), testTime(), o.Attempts+1
		return store.Change{Operation: o}
	},
	func(o store.Operation) store.Change { // refused
		o.Sent, o.Interval = store.SentNo, time.Minute
		o.LastError, o.LastErrorAt = strings.Repeat("no capacity ", 15), testTime()
		return store.Change{Operation: o, Release: true}
	},
	func(o store.Operation) store.Change { // its second intent
		o.Sent, o.LastSentAt, o.Attempts = store.SentUnknown, testTime(), o.Attempts+1
		return store.Change{Operation: o}
	},
	func(o store.Operation) store.Change { // accepted
		ev := store.Event{Operation: o.ID, Ref: o.Ref, From: o.Phase, To: fsm.PhaseStarting, Session: fsm.StateStartInProgress, At: testTime()}
		o.Phase, o.Sent, o.AcceptedAt, o.BootDeadline, o.Session = fsm.PhaseStarting, store.SentAccepted, testTime(), testTime(), fsm.StateStartInProgress
		return store.Change{Operation: o, Events: []store.Event{ev}}
	},
	func(o store.Operation) store.Change { // READY
		ev := store.Event{Operation: o.ID, Ref: o.Ref, From: o.Phase, To: fsm.PhaseSucceeded, Session: fsm.StateReady, At: testTime()}
		o.Phase, o.FinishedAt, o.Session, o.LastError = fsm.PhaseSucceeded, testTime(), fsm.StateReady, ""
		return store.Change{Operation: o, Events: []store.Event{ev}, Release: true}
	},
}

func (f *fullness) prune(s *Store) {
	f.Helper()
	if _, err := s.Prune(f.Context(), store.Retention{EndedSince: testTime().Add(1), Events: 1}); err != nil {
		f.Fatalf("Prune: %v", err)
	}
}

// TestMaxSize checks that the file stays within its limit, whatever is requested.
func TestMaxSize(t *testing.T) {
	t.Parallel()
	rng := scale.Rand(scale.Seed(t))
	for i := range scale.Of(t, 2, 20, 500) {
		f := &fullness{T: t, path: testPath(t), rng: rng}
		f.config = Config{MaxSize: minMaxSize<<(i%4) + rng.Int64N(minMaxSize), noSync: true}
		n := f.run()
		if least := int((f.config.MaxSize - minMaxSize/2) / 4096); n < least {
			t.Errorf("%d starts in %d bytes, want at least %d", n, f.config.MaxSize, least)
		}
	}
	for _, c := range []Config{{MaxSize: -1}, {MaxSize: minMaxSize - 1}} {
		if _, err := Open(testPath(t), c); err == nil || !strings.Contains(err.Error(), "MaxSize") {
			t.Errorf("MaxSize %d: %v", c.MaxSize, err)
		}
	}
}

// TestLargerThanMaxSize checks that a file that is too large already can be used, and does
// not grow.
func TestLargerThanMaxSize(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	f := &fullness{T: t, path: path, rng: scale.Rand(1), config: Config{MaxSize: minMaxSize, noSync: true}, deaf: true}
	var acked []store.Operation
	for range 20 {
		ops := make([]store.Operation, 200)
		for i := range ops {
			ops[i] = f.drawn(len(acked) + i)
		}
		if _, err := s.Enqueue(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		for i := range ops {
			ops[i].Version = 1
		}
		acked = append(acked, ops...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := disk.FileSize(path)
	if err != nil || before < 2*minMaxSize {
		t.Fatalf("the file has only %d bytes, %v", before, err)
	}
	s = openTest(t, path, f.config)
	f.config.MaxSize = before
	more := f.fill(s, len(acked))
	f.endAll(s, append(acked, more...))
	clean(t, s)
}

// TestLittleSpaceAtOnce uses active operations that are far apart in the file. One commit
// of all of them copies more pages than there is space for. The store makes the commit in
// parts.
func TestLittleSpaceAtOnce(t *testing.T) {
	t.Parallel()
	for name, apply := range map[string]func(s *Store, changes []store.Change) error{
		"by one call": func(s *Store, changes []store.Change) error {
			errs, err := s.Apply(t.Context(), changes)
			return errors.Join(append(errs, err)...)
		},
		"by a call each": func(s *Store, changes []store.Change) error {
			out := make(chan error, len(changes)+1)
			inside, leave := make(chan struct{}), make(chan struct{})
			var once sync.Once
			s.committed = func(error) { // the other calls arrive while this one is under way
				once.Do(func() {
					close(inside)
					<-leave
				})
			}
			go func() { out <- s.SetPaused(t.Context(), "s", true, "mo", testTime()) }()
			<-inside
			for _, c := range changes {
				go func() {
					errs, err := s.Apply(t.Context(), []store.Change{c})
					out <- errors.Join(append(errs, err)...)
				}()
			}
			for waiting := 0; waiting < len(changes); {
				s.queue.mu.Lock()
				waiting = len(s.queue.waiting)
				s.queue.mu.Unlock()
			}
			close(leave)
			var all error
			for range len(changes) + 1 {
				all = errors.Join(all, <-out)
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, testPath(t), Config{noSync: true, MaxSize: 4 << 20})
			f := &fullness{T: t, path: s.path, rng: scale.Rand(3), config: s.config, deaf: true}
			acked := f.fill(s, 0)
			var kept, ended []store.Change
			for i, o := range acked {
				o.Interval = time.Minute
				if c := (store.Change{Operation: o}); i%5 == 0 {
					kept = append(kept, c)
				} else {
					c.Operation.Phase, c.Operation.FinishedAt = fsm.PhaseCanceled, testTime()
					ended = append(ended, c)
				}
			}
			if errs, err := s.Apply(t.Context(), ended); errors.Join(append(errs, err)...) != nil {
				t.Fatal(errs, err)
			}
			f.fill(s, 1e6) // uses everything except the reserve
			st := s.db.Stats()
			room := (st.FreePageN + st.PendingPageN) * s.db.Info().PageSize
			if copies := len(kept) * s.db.Info().PageSize; copies < room {
				t.Fatalf("%d bytes are free, and at most %d are copied", room, copies)
			}
			if err := apply(s, kept); err != nil {
				t.Error(err)
			}
			clean(t, s)
		})
	}
}

// TestReserveEach checks that the reserve of an operation is enough for it, from its start
// to its end.
func TestReserveEach(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	f := &fullness{T: t, path: s.path, rng: scale.Rand(2)}
	used := func() (n int64) {
		err := s.db.View(func(tx *bbolt.Tx) error {
			st := s.db.Stats()
			n = tx.Size() - int64(st.FreePageN+st.PendingPageN)*int64(s.db.Info().PageSize)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const n = 2000
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = testOp(numbered(i))
		ops[i].Ref.StudioID = strings.Repeat("s", 60)
		ops[i].ClientToken = fmt.Sprint("token-", i)
	}
	rs, err := s.Enqueue(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rs {
		ops[i] = rs[i].Operation
	}
	before := used()
	f.endAll(s, ops)
	each := (used() - before) / n
	t.Logf("%d bytes an operation", each)
	if each > reserveEach || each < reserveEach/4 {
		t.Errorf("an operation takes %d bytes to end, and %d are kept for it", each, reserveEach)
	}
}

// TestReserveIsOnTheDisk checks that the reserve in the file is no hole.
func TestReserveIsOnTheDisk(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{})
	put(t, s, "a")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks, ok := blocksOf(info)
	if !ok {
		t.Skip("this system does not say which blocks a file has")
	}
	if blocks < info.Size() || info.Size() < reserveBase {
		t.Errorf("the file is %d bytes long, and %d are on the disk", info.Size(), blocks)
	}
	// A copy with holes gets its blocks before it accepts a start.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sparse := filepath.Join(t.TempDir(), "sparse.db")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(sparse, []byte(strings.TrimRight(string(data), "\x00")), 0o600)
	}
	if err == nil {
		err = os.Truncate(sparse, int64(len(data)))
	}
	if err != nil {
		t.Fatal(err)
	}
	put(t, openTest(t, sparse, Config{}), "b")
	if info, err = os.Stat(sparse); err != nil {
		t.Fatal(err)
	}
	if blocks, _ := blocksOf(info); blocks < info.Size() {
		t.Errorf("the copy is %d bytes long, and %d are on the disk", info.Size(), blocks)
	}
}

// TestSpaceForAPart makes one call that takes several commits, with space for some of them
// only. A part may be stored, so the error is ErrUnknown and not ErrFull.
func TestSpaceForAPart(t *testing.T) {
	t.Parallel()
	ops := make([]store.Operation, 20_000)
	met := map[error]int{}
	for size := int64(minMaxSize); met[nil] == 0; size *= 2 {
		s := openTest(t, testPath(t), Config{noSync: true, MaxSize: size})
		for i := range ops {
			ops[i] = testOp(numbered(i))
		}
		_, err := s.Enqueue(t.Context(), ops)
		stats, serr := s.Stats(t.Context())
		stored := stats.Operations[fsm.PhaseQueued]
		switch {
		case serr != nil:
			t.Fatal(serr)
		case errors.Is(err, store.ErrUnknown) && stored > 0 && stored < len(ops):
			met[store.ErrUnknown]++
		case errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnknown) && stored == 0:
			met[store.ErrFull]++
		case err == nil && stored == len(ops):
			met[nil]++
		default:
			t.Fatalf("with %s: %v, and %d are stored", mib(size), err, stored)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if met[store.ErrUnknown] == 0 || met[store.ErrFull] == 0 {
		t.Errorf("%v: some result never occurred", met)
	}
}
