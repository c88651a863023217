package bolt

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// The points at which a process is killed, in addition to random times. At the first points
// it kills itself. At the last two it is killed at any instant.
const (
	beforePages   = "in a commit, before a page is written"
	afterPages    = "in a commit, after a page was written"
	beforeMeta    = "in a commit, before its meta page"
	afterMeta     = "in a commit, after its meta page, before its sync"
	beforeAnswers = "after a commit, before its answers"
	inPrune       = "in a prune"
	inBackup      = "in a backup"
	inCompaction  = "in the compaction of an Open"
)

var killPoints = []string{beforePages, afterPages, beforeMeta, afterMeta, beforeAnswers, inPrune, inBackup, inCompaction}

// killPoint is set in a child's environment to a point, "|", and how often the child passes
// it before it kills itself there.
const killPoint = "ROUSE_TEST_KILL"

// The child's prunes remove what finished before forgotBefore.
var forgotBefore = testTime()

// killed opens the file, starts operations and ends some, from several goroutines, until it
// is killed. At some points it also prunes or writes backups. It prints a line for each
// operation that was acknowledged, and for each that may be pruned.
func killed(path string, out io.Writer) error {
	s, err := Open(path, Config{})
	if err != nil {
		return err
	}
	point, nth, _ := strings.Cut(os.Getenv(killPoint), "|")
	t := &trap{point: point}
	t.left.Store(int64(atoi(nth)))
	t.set(s)
	var mu sync.Mutex
	say := func(id store.ID, what string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintln(out, id, what)
	}
	ctx, errs := context.Background(), make(chan error)
	for range 4 {
		go func() { errs <- write(ctx, s, say) }()
	}
	switch point {
	case inPrune:
		go func() { errs <- t.prune(ctx, s) }()
	case inBackup:
		go func() { errs <- backUp(ctx, s, path+backupSuffix) }()
	}
	return <-errs
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // "" is 0
	return n
}

// doomed is printed for an operation before it may be pruned.
const doomed = "doomed"

// write starts operations and ends every third. Half of those ended so long ago that a prune
// removes them.
func write(ctx context.Context, s *Store, say func(id store.ID, what string)) error {
	for n := 0; ; n++ {
		o := testOp("")
		o.Ref.SessionID = string(o.ID)
		rs, err := s.Enqueue(ctx, []store.Operation{o})
		if err != nil {
			return err
		}
		say(o.ID, string(fsm.PhaseQueued))
		if n%3 > 0 {
			continue
		}
		o = rs[0].Operation
		o.Phase, o.FinishedAt = fsm.PhaseSucceeded, forgotBefore
		if n%2 == 0 {
			o.FinishedAt = forgotBefore.Add(-1)
			say(o.ID, doomed)
		}
		ev := store.Event{Operation: o.ID, Ref: o.Ref, From: fsm.PhaseQueued, To: o.Phase, At: testTime()}
		if _, err := s.Apply(ctx, []store.Change{{Operation: o, Events: []store.Event{ev}}}); err != nil {
			return err
		}
		say(o.ID, string(fsm.PhaseSucceeded))
	}
}

const backupSuffix = ".backup"

// backUp writes backups, one after another.
func backUp(ctx context.Context, s *Store, path string) error {
	for {
		_ = os.Remove(path)
		if err := s.Backup(ctx, path); err != nil {
			return err
		}
	}
}

// trap kills its own process when a point was passed often enough.
type trap struct {
	point   string
	left    atomic.Int64
	pruning atomic.Bool
}

// set puts the trap at each of s's writes and commits.
func (t *trap) set(s *Store) {
	meta := int64(2 * s.db.Info().PageSize)
	hookWrites(s.db, func(w writeAt) writeAt {
		return func(b []byte, off int64) (int, error) {
			t.pass(off >= meta, beforePages)
			t.pass(off < meta, beforeMeta)
			t.pass(t.pruning.Load(), inPrune)
			n, err := w(b, off)
			t.pass(off >= meta, afterPages)
			t.pass(off < meta, afterMeta)
			return n, err
		}
	})
	s.committed = func(error) {
		t.pass(true, beforeAnswers)
		t.pass(t.pruning.Load(), inPrune)
	}
}

func (t *trap) pass(here bool, point string) {
	if !here || point != t.point || t.left.Add(-1) > 0 {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // nothing is written after this
}

// prune removes what ended long ago, again and again.
func (t *trap) prune(ctx context.Context, s *Store) error {
	for {
		t.pruning.Store(true)
		_, err := s.Prune(ctx, store.Retention{EndedSince: forgotBefore, Events: 20})
		t.pruning.Store(false)
		if err != nil {
			return err
		}
	}
}
