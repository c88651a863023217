package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
)

// The user and group that a database belongs to, and another user of the group.
const (
	testUser, testGroup, groupUser = 12345, 23456, 12346
)

// userDatabase makes a database of testUser with one operation, which the group may
// write, and returns its path. There is no lock file.
func userDatabase(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "rouse.db")
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	err := errors.Join(s.Close(), os.Remove(path+lockSuffix), os.Chown(path, testUser, testGroup), os.Chmod(path, 0o660),
		os.Chown(dir, testUser, testGroup), os.Chmod(dir, 0o770), os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // others look into it
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// allBelong fails unless every file next to path has the owner, group and mode of
// a userDatabase.
func allBelong(t *testing.T, when, path string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is, want := ownerOf(info), (owner{testUser, testGroup, 0o660}); is != want {
			t.Errorf("%s: %s has %+v, want %+v", when, filepath.Base(name), is, want)
		}
	}
}

// TestRootKeepsTheOwner: root has every file made that there may be next to a user's
// database. All have the owner, the group and the mode of the database.
func TestRootKeepsTheOwner(t *testing.T) {
	t.Parallel()
	path := userDatabase(t)
	s := openTest(t, path, Config{noSync: true})
	allBelong(t, "opened", path)
	if err := s.compact(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.openDB(); err != nil {
		t.Fatal(err)
	}
	allBelong(t, "compacted", path)
	if err := s.Backup(t.Context(), path+".backup"); err != nil {
		t.Fatal(err)
	}
	allBelong(t, "backed up", path)
	failNth(s, 1, faults()[1], syscall.EIO)
	if err := s.SetPaused(t.Context(), "s", true, "mo", testTime()); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("a broken disk: %v", err)
	}
	if _, err := os.Stat(path + suspectSuffix); err != nil {
		t.Fatal(err)
	}
	allBelong(t, "failed", path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path, Config{noSync: true}) // and copies the file
	allBelong(t, "copied", path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[:os.Getpagesize()])
	if err := os.WriteFile(path, data, 0o600); err != nil { // and keeps the mode
		t.Fatal(err)
	}
	r, err := Repair(t.Context(), path, RepairConfig{})
	if err != nil || r.Original == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	allBelong(t, "repaired", path)
	// What an older version left to root is given back.
	if err := errors.Join(os.Chown(path+lockSuffix, 0, 0), os.Chmod(path+lockSuffix, 0o600)); err != nil {
		t.Fatal(err)
	}
	openTest(t, path, Config{noSync: true})
	allBelong(t, "opened after an older version", path)
}

// TestRootMakesItForTheOwner: a new database, and folders for it, belong to the owner
// of the folder that root makes them in.
func TestRootMakesItForTheOwner(t *testing.T) {
	t.Parallel()
	home := filepath.Dir(userDatabase(t))
	path := filepath.Join(home, "state", "rouse", "new.db")
	openTest(t, path, Config{noSync: true})
	for name, mode := range map[string]os.FileMode{
		filepath.Join(home, "state"): 0o700, filepath.Join(home, "state", "rouse"): 0o700, path: 0o600, path + lockSuffix: 0o600,
	} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is, want := ownerOf(info), (owner{testUser, testGroup, mode}); is != want {
			t.Errorf("%s has %+v, want %+v", name, is, want)
		}
	}
}

// become makes this process one of another user, until the test ends.
func become(t *testing.T, uid, gid int) {
	t.Helper()
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setresgid(gid, gid, 0), syscall.Setresuid(uid, uid, 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Setresuid(0, 0, 0), syscall.Setresgid(0, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

// TestNotOwner: a user of the group may use the database. What would make a file that
// belongs to that user is refused before anything is written.
func TestNotOwner(t *testing.T) {
	t.Parallel()
	if !alone(t, nil) {
		return
	}
	path := userDatabase(t)
	fresh, damaged := userDatabase(t), userDatabase(t)
	data, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[:os.Getpagesize()])
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, damaged} {
		if err := errors.Join(os.WriteFile(p+lockSuffix, nil, 0o600), os.Chmod(p+lockSuffix, 0o660), os.Chown(p+lockSuffix, testUser, testGroup)); err != nil {
			t.Fatal(err)
		}
	}
	become(t, groupUser, testGroup)

	refused := func(what string, p string, do func() error) {
		t.Helper()
		before := folderText(t, filepath.Dir(p))
		err := do()
		if !errors.Is(err, ErrNotOwner) || !strings.Contains(err.Error(), fmt.Sprintf("run it as user %d or as root", testUser)) {
			t.Errorf("%s: %v, want ErrNotOwner that says what to do", what, err)
		}
		if after := folderText(t, filepath.Dir(p)); after != before && what != "a compaction" {
			t.Errorf("%s: the folder was\n%sand is\n%s", what, before, after)
		}
	}
	refused("without a lock file", fresh, func() error { _, err := Open(fresh, Config{}); return err })
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "b")
	refused("a compaction", path, s.compact)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Config{}); !errors.Is(err, ErrNotOwner) {
		t.Errorf("a copy: %v, want ErrNotOwner", err)
	}
	if _, err := Repair(t.Context(), damaged, RepairConfig{}); !errors.Is(err, ErrNotOwner) {
		t.Errorf("a repair: %v, want ErrNotOwner", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(damaged), "*"+tempInfix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// The database can be read all the same, and backed up to a folder of the reader's own.
	if s, err = Open(fresh, Config{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	own, err := os.MkdirTemp("", "own")
	if err == nil {
		defer func() { _ = os.RemoveAll(own) }()
		err = errors.Join(s.Backup(t.Context(), filepath.Join(own, "copy.db")), s.Close())
	}
	if err != nil {
		t.Error(err)
	}
}

// folderText describes every file of a folder: its name, owner, mode, time and content.
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
		fmt.Fprintf(&b, "%s %+v %s %v %d", d.Name(), ownerOf(info), info.Mode(), info.ModTime(), info.Size())
		if info.Mode().IsRegular() {
			if data, err := os.ReadFile(path); err == nil {
				fmt.Fprintf(&b, " %x", sum(nil, data))
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

// TestReadingWritesNothing reads databases on which an opening for writing has much
// to do. No byte, no name and no time of their folders changes.
func TestReadingWritesNothing(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, path string){
		"plain":              func(*testing.T, string) {},
		"no lock file":       func(t *testing.T, path string) { unlink(t, path+lockSuffix) },
		"a failed sync":      func(t *testing.T, path string) { touch(t, path+suspectSuffix) },
		"a leftover":         func(t *testing.T, path string) { touch(t, path+tempInfix+"123") },
		"a damaged record":   func(t *testing.T, path string) { rot(t, path, bucketOperations, anOperation(t, path)) },
		"no machine":         func(t *testing.T, path string) { forget(t, path, metaMachine) },
		"mode 0400":          func(t *testing.T, path string) { _ = os.Chmod(path, 0o400) },
		"a link as the lock": func(t *testing.T, path string) { unlink(t, path+lockSuffix); _ = os.Symlink(path, path+lockSuffix) },
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
			if _, err := Verify(t.Context(), path, VerifyConfig{}); err != nil {
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
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", what, err)
		}
	}
	if prune != nil && !errors.Is(prune, ErrReadOnly) {
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
	edit(t, path, func(b *writer) error { return b.meta.Delete([]byte(key)) })
}

// anOperation is the key of one operation of a closed file.
func anOperation(t *testing.T, path string) (key []byte) {
	t.Helper()
	edit(t, path, func(b *writer) error {
		k, _ := b.ops.Cursor().First()
		key = bytes.Clone(k)
		return nil
	})
	return key
}

// TestReadingShowsWhatOpeningWillDo: what the next opening for writing will doubt or
// hold is shown so by a reader already.
func TestReadingShowsWhatOpeningWillDo(t *testing.T) {
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
		held          bool
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
			if err := errors.Join(err, serr, s.Close()); err != nil || (st.Foreign != nil) != c.held || found[i].Sent != c.sent {
				t.Errorf("%s on %s, read-only %t: held %v, sent %v, %v", c.path, c.machine, readOnly, st.Foreign, found[i].Sent, err)
			}
		}
		if found[0].Version != found[1].Version || !found[0].SentAt.Equal(found[1].SentAt) {
			t.Errorf("a reader shows %+v, and it becomes %+v", found[0], found[1])
		}
	}
}

// TestReadersShare: readers do not exclude each other. They exclude a writer, which
// does not blame the last process that wrote; a writer excludes them, and is named.
func TestReadersShare(t *testing.T) {
	t.Parallel()
	for _, locked := range []bool{true, false} {
		path := testPath(t)
		s := openTest(t, path, Config{noSync: true})
		put(t, s, "a")
		var le *LockedError
		if _, err := Open(path, Config{ReadOnly: true, LockTimeout: -1}); !errors.As(err, &le) || le.PID != os.Getpid() {
			t.Errorf("with a writer: %v, want a LockedError that names it", err)
		}
		if _, err := Verify(t.Context(), path, VerifyConfig{LockTimeout: -1}); !errors.As(err, &le) || le.PID != os.Getpid() {
			t.Errorf("Verify with a writer: %v, want a LockedError that names it", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !locked {
			unlink(t, path+lockSuffix)
		}
		one := openTest(t, path, Config{ReadOnly: true})
		two := openTest(t, path, Config{ReadOnly: true})
		if _, err := Verify(t.Context(), path, VerifyConfig{}); err != nil {
			t.Errorf("Verify: %v", err)
		}
		if _, err := Open(path, Config{noSync: true, LockTimeout: -1}); !errors.As(err, &le) || locked && le.PID != 0 {
			t.Errorf("a writer: %v, want a LockedError that names nobody", err)
		}
		if err := errors.Join(one.Close(), two.Close()); err != nil {
			t.Fatal(err)
		}
		put(t, openTest(t, path, Config{noSync: true, LockTimeout: -1}), "b")
	}
}

// TestPlantedFiles: whatever another user has put where a file of this package is to
// be, what it leads to is not written.
func TestPlantedFiles(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(victim, at string) error{
		"a symbolic link": os.Symlink,
		"a hard link":     os.Link,
		"a dangling link": func(victim, at string) error { return os.Symlink(victim+".none", at) },
		"a FIFO":          func(_, at string) error { return syscall.Mkfifo(at, 0o600) },
		"a folder":        func(_, at string) error { return os.Mkdir(at, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			victim := filepath.Join(t.TempDir(), "victim")
			if err := os.WriteFile(victim, bytes.Repeat([]byte("precious "), 100), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openTest(t, path, Config{noSync: true})
			put(t, s, "a")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			unlink(t, path+lockSuffix)
			if err := plant(victim, path+lockSuffix); err != nil {
				t.Fatal(err)
			}
			before := folderText(t, filepath.Dir(victim)) + folderText(t, filepath.Dir(path))
			_, oerr := Open(path, Config{})
			_, rerr := Repair(t.Context(), path, RepairConfig{})
			_, nerr := lockFile(path, -1)
			for what, err := range map[string]error{"Open": oerr, "Repair": rerr, "lockFile": nerr} {
				if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), path+lockSuffix) || !strings.Contains(err.Error(), "remove it") {
					t.Errorf("%s: %v, want ErrUnsafe that names the file", what, err)
				}
			}
			if after := folderText(t, filepath.Dir(victim)) + folderText(t, filepath.Dir(path)); after != before {
				t.Errorf("the folders were\n%sand are\n%s", before, after)
			}
		})
	}
}

// TestPlantedMark: a link where the mark of a failed sync is to be leads nowhere, and
// counts as that mark.
func TestPlantedMark(t *testing.T) {
	t.Parallel()
	for _, exists := range []bool{true, false} {
		path := testPath(t)
		victim := filepath.Join(t.TempDir(), "victim")
		if exists {
			touch(t, victim)
		}
		s := openTest(t, path, Config{noSync: true})
		put(t, s, "a")
		if err := os.Symlink(victim, path+suspectSuffix); err != nil {
			t.Fatal(err)
		}
		failNth(s, 1, faults()[1], syscall.EIO)
		if err := s.SetPaused(context.Background(), "s", true, "mo", testTime()); !errors.Is(err, store.ErrFailed) {
			t.Fatalf("a broken disk: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(victim); exists != (err == nil) || exists && string(data) != "x" {
			t.Errorf("the file behind the link holds %q, %v", data, err)
		}
		was, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := clean(t, openTest(t, path, Config{noSync: true})); n != 1 {
			t.Errorf("%d operations, want 1", n)
		}
		if stillNamed(path, was) {
			t.Error("the file was not copied, though a sync has failed")
		}
		if _, err := os.Lstat(path + suspectSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the mark: %v", err)
		}
	}
}

// TestReplacedByALink: no file of this package is opened through a link that replaced
// it.
func TestReplacedByALink(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	touch(t, path+".victim")
	if err := os.Symlink(path+".victim", path); err != nil {
		t.Fatal(err)
	}
	_, copied := copyFile(path)
	_, _, opened := openBoltFile(path, &bbolt.Options{})
	for what, err := range map[string]error{"copied": copied, "synced": syncFile(path), "opened": opened} {
		if !errors.Is(err, syscall.ELOOP) {
			t.Errorf("%s: %v, want that it is a link", what, err)
		}
	}
}

// TestForeignGetsNothing: a file of another kind is refused before anything is made
// next to it, and a URL before a folder is made of it.
func TestForeignGetsNothing(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	touch(t, path)
	before := folderText(t, filepath.Dir(path))
	if _, err := Open(path, Config{}); !errors.Is(err, ErrForeign) {
		t.Errorf("%v, want ErrForeign", err)
	}
	if after := folderText(t, filepath.Dir(path)); after != before {
		t.Errorf("the folder was\n%sand is\n%s", before, after)
	}
	for _, c := range []Config{{}, {ReadOnly: true}} {
		if _, err := Open("postgres://host/db", c); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "is a URL") {
			t.Errorf("%v, want ErrForeign", err)
		}
	}
	if _, err := os.Lstat("postgres:"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

// TestFolderOfAll: a folder in which every user may replace files is refused, but not
// one with the sticky bit, if the files are this user's own.
func TestFolderOfAll(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	if err := errors.Join(s.Close(), os.Chmod(filepath.Dir(path), 0o777)); err != nil {
		t.Fatal(err)
	}
	before := folderText(t, filepath.Dir(path))
	for _, p := range []string{path, filepath.Join(filepath.Dir(path), "new.db")} {
		_, oerr := Open(p, Config{})
		if !errors.Is(oerr, ErrUnsafe) || !strings.Contains(oerr.Error(), "run chmod o-w") {
			t.Errorf("Open: %v, want ErrUnsafe that says what to do", oerr)
		}
	}
	if _, err := Repair(t.Context(), path, RepairConfig{}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Repair: %v, want ErrUnsafe", err)
	}
	readEverything(t, path, Config{ReadOnly: true})
	if after := folderText(t, filepath.Dir(path)); after != before {
		t.Errorf("the folder was\n%sand is\n%s", before, after)
	}
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{path, filepath.Join(filepath.Dir(path), "new.db")} {
		if err := openTest(t, own, Config{noSync: true}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		return
	}
	for _, name := range []string{path + lockSuffix, path, path + suspectSuffix} {
		if name == path+suspectSuffix {
			touch(t, name)
		}
		if err := os.Chown(name, testUser, testGroup); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Config{noSync: true}); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), name+" belongs to user 12345") {
			t.Errorf("%s of another user: %v, want ErrUnsafe that names it", name, err)
		}
		if err := os.Chown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlantedPaths: in a folder where every user may make files, another user may
// have made the folder of the database, or a link to it, before this user did. Root
// gives no backup in such a folder away.
func TestPlantedPaths(t *testing.T) {
	t.Parallel()
	theirs := userDatabase(t)
	common := t.TempDir()
	folder, link, deep := filepath.Join(common, "folder"), filepath.Join(common, "link.db"), filepath.Join(common, "deep")
	err := errors.Join(os.Chmod(common, 0o777|fs.ModeSticky), os.Chmod(theirs, 0o666), //nolint:gosec // as an attacker would have it
		os.Mkdir(folder, 0o755), os.Chown(folder, testUser, testGroup), os.Symlink(theirs, link), os.Lchown(link, testUser, testGroup), //nolint:gosec // as above
		os.Symlink(filepath.Dir(theirs), deep), os.Lchown(deep, testUser, testGroup))
	if err != nil {
		t.Fatal(err)
	}
	before := folderText(t, folder) + folderText(t, filepath.Dir(theirs))
	for path, named := range map[string]string{
		filepath.Join(folder, "rouse.db"):        folder,
		filepath.Join(folder, "new", "rouse.db"): folder,
		link:                                     link,
		filepath.Join(deep, "rouse.db"):          deep,
		filepath.Join(deep, "new.db"):            deep,
	} {
		_, oerr := Open(path, Config{noSync: true})
		_, rerr := Repair(t.Context(), path, RepairConfig{})
		for what, err := range map[string]error{"Open": oerr, "Repair": rerr} {
			if what == "Repair" && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), named+" belongs to user 12345") {
				t.Errorf("%s %s: %v, want ErrUnsafe that names %s", what, path, err, named)
			}
		}
	}
	if after := folderText(t, folder) + folderText(t, filepath.Dir(theirs)); after != before {
		t.Errorf("the folders were\n%sand are\n%s", before, after)
	}
	s := openTest(t, filepath.Join(t.TempDir(), "own.db"), Config{noSync: true})
	backup := filepath.Join(folder, "backup.db")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(backup); err != nil || ownerOf(info) != (owner{0, 0, 0o600}) {
		t.Errorf("the backup of root: %+v, %v", ownerOf(info), err)
	}
	// A folder of this user's own in such a folder is as good as any.
	if err := os.Mkdir(filepath.Join(common, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	openTest(t, filepath.Join(common, "own", "rouse.db"), Config{noSync: true})
}

// TestPlantedMeanwhile: a database that another user makes after Open has looked,
// and before it has the lock, is not used.
func TestPlantedMeanwhile(t *testing.T) {
	t.Parallel()
	theirs := userDatabase(t)
	path := testPath(t)
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	lock, err := lockFile(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(theirs, path); err != nil {
		t.Fatal(err)
	}
	s := newStore(path, Config{noSync: true}.withDefaults(), lock)
	if _, err := s.begin(s.start(false)); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), path+" belongs to user 12345") {
		t.Errorf("%v, want ErrUnsafe", err)
	}
}
