package bolt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// TestKill kills a process while it writes, again and again, at random and at each of
// killPoints. What it had acknowledged is stored, and the file is sound. (This does not test
// a power cut.)
func TestKill(t *testing.T) {
	t.Parallel()
	const fileKills = 40
	rnd := scale.Rand(scale.Seed(t))
	kills := child.NewKills(killPoints)
	var f *killedFile
	var sparse sparseFile
	for n := range scale.Times(t, 20, 240, 20_000) {
		if n%fileKills == 0 {
			f = newKilledFile(t, rnd, testPath(t), &sparse)
		}
		point := kills.Next(n)
		there := f.kill(point)
		kills.Count(point, there, f.inspect())
	}
	kills.Report(t, 3)
}

// killedFile is one file, and what is known about it.
type killedFile struct {
	t      *testing.T
	rnd    *rand.Rand
	path   string
	sparse *sparseFile
	acked  map[store.ID]fsm.Phase
	doomed map[store.ID]bool // they may have been pruned
	lines  int               // of the process that was killed last
}

func newKilledFile(t *testing.T, rnd *rand.Rand, path string, sparse *sparseFile) *killedFile {
	return &killedFile{t: t, rnd: rnd, path: path, sparse: sparse, acked: map[store.ID]fsm.Phase{}, doomed: map[store.ID]bool{}}
}

// start starts a process that writes, and that kills itself at a point. seen is closed when
// the process has printed enough lines.
func (f *killedFile) start(path, point string, enough int) (p *child.Process, seen chan struct{}) {
	f.lines, seen = 0, make(chan struct{})
	c := child.Self(f.t, childPath, path)
	c.Env = append(c.Env, fmt.Sprintf("%s=%s|%d", killPoint, point, 1+f.rnd.IntN(20)))
	return child.Start(f.t, c, func(line string) {
		if f.lines++; f.lines == enough {
			close(seen)
		}
		id, what, _ := strings.Cut(line, " ")
		if _, ok := format.ParseID(store.ID(id)); !ok || what != doomed && !fsm.Phase(what).Known() {
			f.t.Errorf("the child printed %q", line)
		}
		if what == doomed {
			f.doomed[store.ID(id)] = true
		} else {
			f.acked[store.ID(id)] = fsm.Phase(what)
		}
	}), seen
}

func (f *killedFile) end(p *child.Process) {
	f.t.Helper()
	if !p.Kill() {
		f.t.Fatalf("the child ended by itself: %v", p.Wait())
	}
}

// kill lets a process write and kills it. It reports whether the process was at the point.
func (f *killedFile) kill(point string) (there bool) {
	f.t.Helper()
	switch point {
	case inCompaction:
		return f.killCompaction()
	case inBackup:
		return f.killBackup()
	}
	p, enough := f.start(f.path, point, 1+f.rnd.IntN(60))
	if point != "" {
		enough = nil
	}
	select {
	case <-p.Ended:
		there = true
	case <-enough:
	case <-time.After(30 * time.Second):
	}
	f.end(p)
	return there
}

// inspect opens the file and compares it with what is known about it. It returns how many
// operations are stored that were not acknowledged.
func (f *killedFile) inspect() (unsaid int) {
	f.t.Helper()
	s := openTest(f.t, f.path, Config{})
	defer s.Close()
	all, err := listed(f.t.Context(), s)
	if err != nil {
		f.t.Fatal(err)
	}
	for id, phase := range f.acked {
		o, have := all[string(id)]
		if !have && f.doomed[id] {
			continue
		}
		if o.ID != id || phase == fsm.PhaseSucceeded && o.Phase != phase {
			f.t.Fatalf("%s was acknowledged as %s and is %q", id, phase, o.Phase)
		}
	}
	for id, o := range all {
		if _, told := f.acked[store.ID(id)]; !told {
			unsaid++
		}
		f.acked[store.ID(id)] = o.Phase
	}
	clean(f.t, s)
	return unsaid
}

// killBackup kills a process at any instant of its backup. If there is a file at the
// backup's path, it is whole. The next backup removes what is left next to it.
func (f *killedFile) killBackup() (there bool) {
	f.t.Helper()
	backup := f.path + backupSuffix
	p, _ := f.start(f.path, inBackup, 0)
	f.meet(p, backup)
	time.Sleep(time.Duration(f.rnd.Int64N(int64(5 * time.Millisecond))))
	f.end(p)
	halves := temps(f.t, backup)
	if _, err := os.Stat(backup); err == nil {
		s := openTest(f.t, backup, Config{})
		clean(f.t, s)
		if err := s.Close(); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Remove(backup); err != nil {
			f.t.Fatal(err)
		}
	}
	s := openTest(f.t, filepath.Join(f.t.TempDir(), "rouse.db"), Config{noSync: true})
	if err := errors.Join(s.Backup(f.t.Context(), backup), s.Close(), os.Remove(backup)); err != nil {
		f.t.Fatal(err)
	}
	if left := temps(f.t, backup); len(left) > 0 {
		f.t.Errorf("the next backup leaves %q behind", left)
	}
	return len(halves) > 0
}

// meet waits until a process makes a file that will be at path.
func (f *killedFile) meet(p *child.Process, path string) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); len(temps(f.t, path)) == 0; time.Sleep(100 * time.Microsecond) {
		select {
		case <-p.Ended:
			f.t.Fatalf("the child ended: %v", p.Wait())
		default:
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the child makes no %s", path)
		}
	}
}

// replaced waits until another file is in its place, or is about to be.
func (f *killedFile) replaced(p *child.Process) {
	f.t.Helper()
	was, err := os.Stat(f.path)
	for now := was; err == nil && os.SameFile(was, now) && now.Size() == was.Size(); now, err = os.Stat(f.path) {
		select {
		case <-p.Ended:
			f.t.Fatalf("the child ended: %v", p.Wait())
		case <-time.After(50 * time.Microsecond):
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func temps(t *testing.T, path string) []string {
	t.Helper()
	all, err := filepath.Glob(path + disk.TempInfix + "*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// killCompaction kills a process at any instant of the compaction in its Open. The file is
// the old one or the new one, with all its content.
func (f *killedFile) killCompaction() (there bool) {
	f.t.Helper()
	b := f.sparse.ready(f.t)
	path := f.path + ".sparse"
	if err := os.WriteFile(path, b.image, 0o600); err != nil {
		f.t.Fatal(err)
	}
	g := newKilledFile(f.t, f.rnd, path, nil)
	for _, id := range b.holds {
		g.acked[id] = fsm.PhaseQueued
	}
	p, _ := g.start(path, "", 0)
	g.meet(p, path)
	if f.rnd.IntN(2) == 0 {
		time.Sleep(time.Duration(f.rnd.Int64N(int64(b.takes))))
	} else {
		g.replaced(p)
	}
	g.end(p)
	g.inspect()
	if left := temps(f.t, path); len(left) > 0 {
		f.t.Errorf("Open leaves %v behind", left)
	}
	return g.lines == 0 // it was killed before it had opened the file
}

// sparseFile is a file that Open compacts.
type sparseFile struct {
	image []byte
	holds []store.ID
	takes time.Duration // Open
}

// ready makes the file, once.
func (b *sparseFile) ready(t *testing.T) *sparseFile {
	t.Helper()
	if b.image != nil {
		return b
	}
	const all, left = 5000, 1500
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	ops := make([]store.Operation, all)
	for i := range ops {
		ops[i] = testOp("")
		ops[i].Ref.SessionID = string(ops[i].ID)
		ops[i].Reason = strings.Repeat("w", 4000)
	}
	rs, err := s.Enqueue(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs[:left] {
		b.holds = append(b.holds, r.Operation.ID)
	}
	changes := make([]store.Change, 0, all-left)
	for _, r := range rs[left:] {
		o := r.Operation
		o.Phase, o.FinishedAt = fsm.PhaseSucceeded, testTime()
		changes = append(changes, store.Change{Operation: o})
	}
	if _, err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Prune(t.Context(), store.Retention{EndedSince: testTime().Add(1)}); err != nil || n != all-left {
		t.Fatalf("pruned %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b.image, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s = openTest(t, path, Config{})
	b.takes = time.Since(began)
	if now, err := disk.FileSize(path); err != nil || int(now) > len(b.image)/2 {
		t.Fatalf("Open left %d bytes of %d: it did not compact (%v)", now, len(b.image), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("a file of %d bytes is compacted in %v", len(b.image), b.takes)
	return b
}
