package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// folderText returns a text about every file of a folder: its name, owner, mode, time and
// content.
func folderText(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %+v %s %v %d", d.Name(), disk.OwnerOf(info), info.Mode(), info.ModTime(), info.Size())
		if info.Mode().IsRegular() {
			if data, err := os.ReadFile(path); err == nil {
				fmt.Fprintf(&b, " %x", format.Sum(nil, data))
			}
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReadingWritesNothing reads databases on which an opening for writing would have much
// to do. No byte, no name and no time of their folders changes.
func TestReadingWritesNothing(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, path string){
		"plain":            func(*testing.T, string) {},
		"no lock file":     func(t *testing.T, path string) { unlink(t, path+disk.LockSuffix) },
		"a failed sync":    func(t *testing.T, path string) { touch(t, path+disk.SuspectSuffix) },
		"a leftover":       func(t *testing.T, path string) { touch(t, path+disk.TempInfix+"123") },
		"a damaged record": func(t *testing.T, path string) { flipBit(t, path, format.BucketOperations, anOperation(t, path)) },
		"no machine":       func(t *testing.T, path string) { forget(t, path, format.MetaMachine) },
		"mode 0400":        func(t *testing.T, path string) { _ = os.Chmod(path, 0o400) },
		"a link as the lock": func(t *testing.T, path string) {
			unlink(t, path+disk.LockSuffix)
			_ = os.Symlink(path, path+disk.LockSuffix)
		},
		"a backup": func(t *testing.T, path string) {
			s := openTest(t, path, Config{noSync: true})
			if err := errors.Join(s.Backup(t.Context(), path+".copy"), s.Close(), os.Rename(path+".copy", path)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			s := openTest(t, path, Config{noSync: true, Machine: "home"})
			put(t, s, "a")
			put(t, s, "b")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			prepare(t, path)
			before := folderText(t, filepath.Dir(path))
			for _, machine := range []string{"home", "elsewhere"} {
				readEverything(t, path, Config{ReadOnly: true, Machine: machine, sparse: 1})
			}
			if _, err := repair.Check(t.Context(), path, repair.CheckConfig{}); err != nil {
				t.Errorf("Verify: %v", err)
			}
			if after := folderText(t, filepath.Dir(path)); after != before {
				t.Errorf("the folder was\n%sand is\n%s", before, after)
			}
		})
	}
}

// readEverything makes every call of a store that is only read.
func readEverything(t *testing.T, path string, c Config) {
	t.Helper()
	s, err := Open(path, c)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.List(t.Context(), store.Filter{}) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	st, serr := s.Stats(t.Context())
	_, herr := s.Head(t.Context())
	_, eerr := s.Events(t.Context(), "", 10)
	_, lerr := s.Lanes(t.Context())
	_, cerr := s.Check(t.Context())
	berr := s.Backup(t.Context(), filepath.Join(t.TempDir(), "copy.db"))
	if err := errors.Join(serr, herr, eerr, lerr, cerr); err != nil || n == 0 || berr != nil && st.Quarantined == 0 {
		t.Errorf("%d operations, %v, %v", n, err, berr)
	}
	_, enq := s.Enqueue(t.Context(), []store.Operation{testOp("new")})
	_, own := s.Own(t.Context())
	_, prune := s.Prune(t.Context(), store.Retention{EndedSince: testTime(), Events: 1})
	for what, err := range map[string]error{
		"Enqueue": enq, "Own": own, "SetPaused": s.SetPaused(t.Context(), "s", true, "mo", testTime()),
	} {
		if !errors.Is(err, disk.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", what, err)
		}
	}
	if prune != nil && !errors.Is(prune, disk.ErrReadOnly) {
		t.Errorf("Prune: %v", prune)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func unlink(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func forget(t *testing.T, path, key string) {
	t.Helper()
	edit(t, path, func(b *format.Writer) error { return b.Meta.Delete([]byte(key)) })
}

// anOperation returns the key of one operation of a closed file.
func anOperation(t *testing.T, path string) (key []byte) {
	t.Helper()
	edit(t, path, func(b *format.Writer) error {
		k, _ := b.Ops.Cursor().First()
		key = bytes.Clone(k)
		return nil
	})
	return key
}

// TestReadingShowsTheNextOpening checks that a reader already shows what the next opening
// for writing will mark as foreign or as outcome unknown.
func TestReadingShowsTheNextOpening(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true, Machine: "home"})
	o := put(t, s, "a")
	backup := path + ".backup"
	if err := errors.Join(s.Backup(t.Context(), backup), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, machine string
		foreign       bool
		sent          store.Sent
	}{
		{path, "home", false, store.SentNo}, {path, "elsewhere", true, store.SentUnknown}, {backup, "elsewhere", false, store.SentUnknown},
	} {
		var found [2]store.Operation
		for i, readOnly := range []bool{true, false} {
			s, err := Open(c.path, Config{ReadOnly: readOnly, Machine: c.machine, noSync: true})
			if err != nil {
				t.Fatal(err)
			}
			found[i], err = s.BySession(t.Context(), o.Ref)
			st, serr := s.Stats(t.Context())
			if err := errors.Join(err, serr, s.Close()); err != nil || (st.Foreign != nil) != c.foreign || found[i].Sent != c.sent {
				t.Errorf("%s on %s, read-only %t: foreign %v, sent %v, %v", c.path, c.machine, readOnly, st.Foreign, found[i].Sent, err)
			}
		}
		if found[0].Version != found[1].Version || !found[0].SentAt.Equal(found[1].SentAt) {
			t.Errorf("a reader shows %+v, and it becomes %+v", found[0], found[1])
		}
	}
}

// TestReadersShare checks that readers do not exclude each other. They exclude a writer,
// whose error does not name the last process that wrote. A writer excludes readers, and
// their errors name it.
func TestReadersShare(t *testing.T) {
	t.Parallel()
	for _, locked := range []bool{true, false} {
		path := testPath(t)
		s := openTest(t, path, Config{noSync: true})
		put(t, s, "a")
		var le *disk.LockedError
		if _, err := Open(path, Config{ReadOnly: true, LockTimeout: -1}); !errors.As(err, &le) || le.PID != os.Getpid() {
			t.Errorf("with a writer: %v, want a LockedError that names it", err)
		}
		if _, err := repair.Check(t.Context(), path, repair.CheckConfig{LockTimeout: -1}); !errors.As(err, &le) || le.PID != os.Getpid() {
			t.Errorf("Check with a writer: %v, want a LockedError that names it", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !locked {
			unlink(t, path+disk.LockSuffix)
		}
		one := openTest(t, path, Config{ReadOnly: true})
		two := openTest(t, path, Config{ReadOnly: true})
		if _, err := repair.Check(t.Context(), path, repair.CheckConfig{}); err != nil {
			t.Errorf("Verify: %v", err)
		}
		if _, err := Open(path, Config{noSync: true, LockTimeout: -1}); !errors.As(err, &le) || locked && le.PID != 0 {
			t.Errorf("a writer: %v, want a LockedError without a process", err)
		}
		if err := errors.Join(one.Close(), two.Close()); err != nil {
			t.Fatal(err)
		}
		put(t, openTest(t, path, Config{noSync: true, LockTimeout: -1}), "b")
	}
}
