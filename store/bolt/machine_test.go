package bolt

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestMachines checks which marks are of one machine and which of two.
func TestMachines(t *testing.T) {
	t.Parallel()
	of := func(facts ...string) machine {
		m := machine{Marks: map[string][]byte{}}
		for i := 0; i < len(facts); i += 2 {
			m.Marks[facts[i]] = mark(facts[i], facts[i+1])
		}
		return m
	}
	for _, c := range []struct {
		name    string
		a, b    machine
		differs bool
	}{
		{"the same machine", of(markSystem, "1"), of(markSystem, "1"), false},
		{"another installed system", of(markSystem, "1"), of(markSystem, "2"), true},
		{"a clone on other hardware", of(markSystem, "1", markBoard, "1"), of(markSystem, "1", markBoard, "2"), true},
		{"for another user, who can read fewer marks", of(markSystem, "1", markBoard, "1"), of(markSystem, "1"), false},
		{"no mark of one machine", of(markSystem, "1"), of(), false},
		{"no kind in common", of(markSystem, "1"), of(markGiven, "2"), false},
		{"one fact in two kinds", of(markSystem, "1"), of(markBoard, "1"), false},
	} {
		if got := c.a.differs(c.b); got != c.differs || c.b.differs(c.a) != got {
			t.Errorf("%s: differs %v, want %v", c.name, got, c.differs)
		}
	}
	if bytes.Equal(of(markSystem, "1").Marks[markSystem], of(markBoard, "1").Marks[markBoard]) {
		t.Error("marks of two kinds are the same")
	}
}

// homeOf reads which machine a closed file belongs to.
func homeOf(t *testing.T, path string) (m machine) {
	t.Helper()
	edit(t, path, func(b *format.Writer) error {
		m, _ = getAs[machine](b.Buckets, format.MetaMachine)
		return nil
	})
	return m
}

// TestBinding checks that a file without a mark takes the marks of the machine that opens
// it. Later it takes the kinds of marks that it lacks. The file contains no fact about
// the machine in clear.
func TestBinding(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	data, err := os.ReadFile(golden) // it was written without marks
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	const name = "farm-03.secret.example"
	s := openTest(t, path, Config{noSync: true, Machine: name})
	if s.foreignNow() != nil {
		t.Error("a file without a mark is foreign")
	}
	for o, err := range s.List(t.Context(), store.Filter{Active: true}) {
		if err != nil || o.Version != 1 {
			t.Errorf("%s was changed: version %d, %v", o.ID, o.Version, err)
		}
	}
	clean(t, s)
	s.Close()
	host, _ := os.Hostname()
	home := homeOf(t, path)
	if home.Host != host || home.differs(thisMachine(name)) || len(home.Marks) != 1 {
		t.Errorf("it belongs to %+v", home)
	}
	if data, err = os.ReadFile(path); err != nil || bytes.Contains(data, []byte(name)) {
		t.Errorf("the name is in the file (%v)", err)
	}
	// Marks of the same machine that become known later are added.
	edit(t, path, func(b *format.Writer) error {
		home.Marks["other"] = mark("other", "x")
		delete(home.Marks, markGiven)
		b.PutMeta(format.MetaMachine, format.Encoded(home))
		return nil
	})
	s = openTest(t, path, Config{noSync: true, Machine: name})
	if s.Close(); len(homeOf(t, path).Marks) != 2 {
		t.Errorf("it belongs to %+v, want two marks", homeOf(t, path))
	}
	// A damaged mark counts as none, and prevents nothing.
	flipBit(t, path, format.BucketMeta, []byte(format.MetaMachine))
	s = openTest(t, path, Config{noSync: true, Machine: name})
	if clean(t, s); s.foreignNow() != nil {
		t.Error("a damaged mark makes it foreign")
	}
}

// copyTo copies a closed file.
func copyTo(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestClone checks that the original and an adopted copy differ after the adoption. A
// follower of one that reads the other gets an error.
func TestClone(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	home, away := Config{noSync: true, Machine: "farm-03"}, Config{noSync: true, Machine: "farm-07"}
	s := openTest(t, path, home)
	put(t, s, "a")
	shared, _ := s.Head(t.Context())
	s.Close()
	cloned := filepath.Join(t.TempDir(), "clone.db")
	copyTo(t, path, cloned)
	s, c := openTest(t, path, home), openTest(t, cloned, away)
	put(t, s, "b")
	put(t, c, "b too")
	if err := c.Adopt(t.Context(), "mo", testTime()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		put(t, c, numbered(int(c.seq)))
	}
	ours, _ := s.Head(t.Context())
	theirs, _ := c.Head(t.Context())
	for name, r := range map[string]struct {
		s  *Store
		at store.Cursor
	}{"the original's cursor at the clone": {c, ours}, "the clone's at the original": {s, theirs}} {
		var ce *store.CursorError
		if _, err := r.s.Events(t.Context(), r.at, 9); !errors.As(err, &ce) || !ce.Forked {
			t.Errorf("%s: %v, want a fork", name, err)
		}
	}
	for _, r := range []*Store{s, c} {
		if _, err := r.Events(t.Context(), shared, 9); err != nil {
			t.Errorf("after an event of both: %v", err)
		}
		clean(t, r)
	}
}

// TestBackupOfAForeignStore checks that a backup belongs to the machine that opens it.
func TestBackupOfAForeignStore(t *testing.T) {
	t.Parallel()
	path, copied := testPath(t), testPath(t)
	s := openTest(t, path, Config{noSync: true, Machine: "farm-03"})
	put(t, s, "a")
	s.Close()
	s = openTest(t, path, Config{noSync: true, Machine: "farm-07"})
	if s.foreignNow() == nil {
		t.Fatal("it is not foreign")
	}
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c := openTest(t, copied, Config{noSync: true, Machine: "farm-11"})
		if c.foreignNow() != nil {
			t.Error("a backup that was opened here first is foreign")
		}
		clean(t, c)
		c.Close()
	}
	if c := openTest(t, copied, Config{noSync: true, Machine: "farm-07"}); c.foreignNow() == nil {
		t.Error("a backup belongs to two machines")
	}
}

// TestRepairKeepsTheMachine checks that the repaired copy of a foreign file is foreign,
// and the copy of an adopted file is not.
func TestRepairKeepsTheMachine(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true, Machine: "farm-03"})
	put(t, s, "a")
	s.Close()
	for _, adopt := range []bool{false, true} {
		s = openTest(t, path, Config{noSync: true, Machine: "farm-07"})
		if adopt {
			if err := s.Adopt(t.Context(), "mo", testTime()); err != nil {
				t.Fatal(err)
			}
			put(t, s, "b")
		}
		s.Close()
		made := path + ".new"
		os.Remove(made)
		done, err := repair.Job{Path: path, Copy: made}.Repair(t.Context(), nil)
		if err != nil || len(done.Report.Problems)+len(done.Outcome.Lost)+len(done.Outcome.Doubtful) > 0 {
			t.Fatalf("%+v, %v", done, err)
		}
		s = openTest(t, made, Config{noSync: true, Machine: "farm-07"})
		if foreign := s.foreignNow() != nil; foreign == adopt {
			t.Errorf("adopted %v, and the repaired file is foreign: %v", adopt, foreign)
		}
		clean(t, s)
		s.Close()
	}
	for key, value := range map[string]any{format.MetaMachine: thisMachine("farm-03"), format.MetaHeld: holding{Here: thisMachine("farm-07"), Since: 1}} {
		text, err := cbor.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := format.KindOf("", []byte(key), format.Seal([]byte(key), text)); got != format.BucketMeta {
			t.Errorf("%s, found on a page of no bucket, is recognised as one of %q", key, got)
		}
	}
}

// TestRepairThatLostSomething checks that the repaired copy takes an id of its own, and
// belongs to the machine of the damaged file. A backup belongs to no machine, before and
// after a repair.
func TestRepairThatLostSomething(t *testing.T) {
	t.Parallel()
	home, away := Config{noSync: true, Machine: "farm-03"}, Config{noSync: true, Machine: "farm-07"}
	for name, c := range map[string]struct {
		before  func(t *testing.T, path string) string // what is repaired
		foreign map[string]bool                        // by the machine that opens it afterwards
	}{
		"at home": {func(_ *testing.T, path string) string { return path }, map[string]bool{"farm-03": false, "farm-07": true}},
		"foreign": {func(t *testing.T, path string) string {
			openTest(t, path, away).Close()
			return path
		}, map[string]bool{"farm-03": false, "farm-07": true, "farm-11": true}},
		"repaired twice": {func(t *testing.T, path string) string {
			return repairedCopy(t, path)
		}, map[string]bool{"farm-03": false, "farm-07": true}},
		"a backup": {func(t *testing.T, path string) string {
			copied := testPath(t)
			s := openTest(t, path, home)
			if err := errors.Join(s.Backup(t.Context(), copied), s.Close()); err != nil {
				t.Fatal(err)
			}
			return copied
		}, map[string]bool{"farm-03": false, "farm-07": false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			s := openTest(t, path, home)
			was := s.id
			var lost []format.RowID
			for i := range 3 {
				key, _ := format.ParseID(put(t, s, numbered(i)).ID)
				lost = append(lost, key)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			rotLost := func(path string, key format.RowID) {
				flipBit(t, path, format.BucketOperations, key[:])
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				writeAll(t, path, scrub(t, data)) // no old page has it either
			}
			if name == "repaired twice" {
				rotLost(path, lost[1])
			}
			path = c.before(t, path)
			rotLost(path, lost[0])
			made := repairedCopy(t, path)
			for where, foreign := range c.foreign {
				opened := testPath(t)
				copyTo(t, made, opened)
				s := openTest(t, opened, Config{noSync: true, Machine: where})
				if now := s.foreignNow() != nil; now != foreign {
					t.Errorf("on %s it is foreign: %v, want %v", where, now, foreign)
				}
				all, err := listed(t.Context(), s)
				if o := all[numbered(2)]; err != nil || o.Sent != store.SentUnknown {
					t.Errorf("on %s an operation counts as %v (%v), want outcome unknown", where, o.Sent, err)
				}
				if s.id == was {
					t.Errorf("on %s it has its old id", where)
				}
				s.Close()
				if s = openTest(t, opened, Config{noSync: true, Machine: where}); (s.foreignNow() != nil) != foreign {
					t.Errorf("on %s, the second opening disagrees with the first on whether it is foreign", where)
				}
				clean(t, s)
			}
		})
	}
}

// repairedCopy repairs a file, which loses something, and returns the copy.
func repairedCopy(t *testing.T, path string) (made string) {
	t.Helper()
	made = testPath(t)
	done, err := repair.Job{Path: path, Copy: made}.Repair(t.Context(), nil)
	if err != nil || len(done.Report.Problems) > 0 || !done.Outcome.Forked {
		t.Fatalf("%+v, %v", done, err)
	}
	return made
}

// TestRepairOfAnOpenedBackup checks a file that was a backup and has an old page that
// still says so.
func TestRepairOfAnOpenedBackup(t *testing.T) {
	t.Parallel()
	path, copied, made := testPath(t), testPath(t), testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, copied, Config{noSync: true})
	id := s.id
	s.Close()
	if data, err := os.ReadFile(copied); err != nil || !bytes.Contains(data, []byte(format.MetaStamp)) {
		t.Fatalf("no page says that it was a backup (%v)", err)
	}
	done, err := repair.Job{Path: copied, Copy: made}.Repair(t.Context(), nil)
	if err != nil || done.Outcome.Forked {
		t.Fatalf("%+v, %v", done, err)
	}
	if s = openTest(t, made, Config{noSync: true}); s.id != id {
		t.Error("nothing is lost, but it takes another id")
	}
}

// TestRepairOfAnAdoptedFile checks that an event without an operation does not count as a
// lost operation.
func TestRepairOfAnAdoptedFile(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	openTest(t, path, Config{noSync: true, Machine: "farm-03"}).Close()
	s := openTest(t, path, Config{noSync: true, Machine: "farm-07"})
	if err := s.Adopt(t.Context(), "mo", testTime()); err != nil {
		t.Fatal(err)
	}
	o := put(t, s, "a")
	s.Close()
	key, _ := format.ParseID(o.ID)
	flipBit(t, path, format.BucketOperations, key[:])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, path, scrub(t, data)) // no old page has it either
	done, err := repair.Job{Path: path, Copy: path + ".new"}.Repair(t.Context(), nil)
	if err != nil || len(done.Outcome.Lost) != 1 || done.Outcome.Lost[0].Operation != o.ID {
		t.Errorf("%+v is lost, %v, want operation %s", done.Outcome.Lost, err, o.ID)
	}
}

// TestNoSpaceForAMark checks that a full disk does not keep a file from being opened, unless
// something must be written so that sending is safe.
func TestNoSpaceForAMark(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	copyTo(t, golden, path)
	full := &trouble{fault: faults()[1], err: &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, n: 1, armed: true}
	s := openTest(t, path, Config{noSync: true, Machine: "farm-03", opened: full.writes})
	if n := clean(t, s); n != 2 || full.count == 0 {
		t.Errorf("%d operations, want 2; %d writes", n, full.count)
	}
	s.Close()
	if len(homeOf(t, path).Marks) != 0 {
		t.Error("the mark was written all the same")
	}
	openTest(t, path, Config{noSync: true, Machine: "farm-03"}).Close()
	if _, err := Open(path, Config{noSync: true, Machine: "farm-07", opened: full.writes}); !errors.Is(err, store.ErrFull) {
		t.Errorf("on another machine: %v, want ErrFull", err)
	}
	full.armed = false
	if s = openTest(t, path, Config{noSync: true, Machine: "farm-07", opened: full.writes}); s.foreignNow() == nil {
		t.Error("with space it is not foreign")
	}
}
