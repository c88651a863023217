package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// The user and group that a database belongs to, and another user of that group.
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
	err := errors.Join(s.Close(), os.Remove(path+disk.LockSuffix), os.Chown(path, testUser, testGroup), os.Chmod(path, 0o660),
		os.Chown(dir, testUser, testGroup), os.Chmod(dir, 0o770), os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // others look into it
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// allBelong fails unless every file next to path has the owner, group and mode of a
// userDatabase.
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
		if is, want := disk.OwnerOf(info), (disk.Owner{UID: testUser, GID: testGroup, Mode: 0o660}); is != want {
			t.Errorf("%s: %s has %+v, want %+v", when, filepath.Base(name), is, want)
		}
	}
}

// TestRootKeepsTheOwner makes root write every file that can be next to a user's database.
// All have the owner, the group and the mode of the database.
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
	if _, err := os.Stat(path + disk.SuspectSuffix); err != nil {
		t.Fatal(err)
	}
	allBelong(t, "failed", path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path, Config{noSync: true}) // this also copies the file
	allBelong(t, "copied", path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[:os.Getpagesize()])
	if err := os.WriteFile(path, data, 0o600); err != nil { // this keeps the mode
		t.Fatal(err)
	}
	r, err := repair.Repair(t.Context(), path, repair.Config{})
	if err != nil || r.Original == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	allBelong(t, "repaired", path)
	// A lock file that an older version left to root gets its owner back.
	if err := errors.Join(os.Chown(path+disk.LockSuffix, 0, 0), os.Chmod(path+disk.LockSuffix, 0o600)); err != nil {
		t.Fatal(err)
	}
	openTest(t, path, Config{noSync: true})
	allBelong(t, "opened after an older version", path)
}

// TestRootMakesFilesForTheOwner checks that a new database, and folders for it, belong to
// the owner of the folder in which root makes them.
func TestRootMakesFilesForTheOwner(t *testing.T) {
	t.Parallel()
	home := filepath.Dir(userDatabase(t))
	path := filepath.Join(home, "state", "rouse", "new.db")
	openTest(t, path, Config{noSync: true})
	for name, mode := range map[string]os.FileMode{
		filepath.Join(home, "state"): 0o700, filepath.Join(home, "state", "rouse"): 0o700, path: 0o600, path + disk.LockSuffix: 0o600,
	} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if is, want := disk.OwnerOf(info), (disk.Owner{UID: testUser, GID: testGroup, Mode: mode}); is != want {
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

// TestNotOwner checks that a user of the group can use the database. A call is refused
// before it writes if it would make a file that belongs to that user.
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
		if err := errors.Join(os.WriteFile(p+disk.LockSuffix, nil, 0o600), os.Chmod(p+disk.LockSuffix, 0o660), os.Chown(p+disk.LockSuffix, testUser, testGroup)); err != nil {
			t.Fatal(err)
		}
	}
	become(t, groupUser, testGroup)

	refused := func(what string, p string, do func() error) {
		t.Helper()
		before := folderText(t, filepath.Dir(p))
		err := do()
		if !errors.Is(err, disk.ErrNotOwner) || !strings.Contains(err.Error(), fmt.Sprintf("run this as user %d or as root", testUser)) {
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
	if err := os.WriteFile(path+disk.SuspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Config{}); !errors.Is(err, disk.ErrNotOwner) {
		t.Errorf("a copy: %v, want ErrNotOwner", err)
	}
	if _, err := repair.Repair(t.Context(), damaged, repair.Config{}); !errors.Is(err, disk.ErrNotOwner) {
		t.Errorf("a repair: %v, want ErrNotOwner", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(damaged), "*"+disk.TempInfix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// That user can still read the database, and back it up to a folder of that user.
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
