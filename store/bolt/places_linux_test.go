package bolt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestFolderGone checks that a name relative to a removed folder names no file.
func TestFolderGone(t *testing.T) {
	t.Parallel()
	if !alone(t, nil) { // the working folder is the whole process's
		return
	}
	dir := filepath.Join(t.TempDir(), "gone")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chdir(dir), os.Remove(dir)); err != nil {
		t.Fatal(err)
	}
	_, oerr := Open("rouse.db", Config{})
	_, verr := repair.Check(t.Context(), "rouse.db", repair.CheckConfig{})
	for who, err := range map[string]error{"Open": oerr, "Verify": verr} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want ErrNotExist", who, err)
		}
	}
	if err := os.Chdir("/"); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadable checks that a file that this user may not read is refused, as a file is
// that this user may not write. Root may read everything, so the test becomes another user.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	above := filepath.Dir(quickPath(t)) // in a folder of all users, and root's own: see TestPlantedPaths
	path := filepath.Join(above, "own", "rouse.db")
	if err := openTest(t, path, Config{noSync: true}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o200), os.Chmod(above, 0o755)); err != nil { //nolint:gosec // another user passes through it
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		for _, name := range []string{filepath.Dir(path), path, path + disk.LockSuffix} {
			if err := os.Chown(name, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		runtime.LockOSThread() // the user of file accesses belongs to the thread
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	if _, err := Open(path, Config{noSync: true}); !errors.Is(err, disk.ErrReadOnly) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("Open: %v, want ErrReadOnly", err)
	}
	if _, err := repair.Check(t.Context(), path, repair.CheckConfig{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Check: %v, want ErrPermission", err)
	}
}

// TestCheckWithoutALock checks a file next to which nothing can be written. Check still
// detects that the file is open, by the lock on the file itself.
func TestCheckWithoutALock(t *testing.T) {
	t.Parallel()
	path := quickPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	for name, mode := range map[string]os.FileMode{filepath.Dir(path): 0o755, path: 0o644, path + disk.LockSuffix: 0o400} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	verify := func() (format.Report, error) {
		if os.Getuid() == 0 {
			const nobody = 65534
			runtime.LockOSThread() // the user of file accesses belongs to the thread
			defer runtime.UnlockOSThread()
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Setfsuid(0) }()
		}
		return repair.Check(t.Context(), path, repair.CheckConfig{Do: func(ctx context.Context, j repair.Job) (repair.Done, error) {
			read++
			return j.Do(ctx, nil)
		}})
	}
	var locked *disk.LockedError
	if r, err := verify(); !errors.As(err, &locked) || locked.Path != path || read > 0 {
		t.Errorf("while it is open: %+v, %v, want a LockedError; it was read %d times although its pages change", r, err, read)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := verify(); err != nil || len(r.Problems) > 0 || r.Operations != 1 {
		t.Errorf("then: %+v, %v", r, err)
	}
	if err := os.Chmod(path+disk.LockSuffix, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, openTest(t, path, Config{noSync: true, LockTimeout: -1}), "b") // no process holds the lock
}

// TestNoBlocks checks a file system that cannot allocate blocks ahead. The file grows by
// written zeros, as far as a limit allows.
func TestNoBlocks(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("ramfs", dir, "ramfs", 0, "mode=0700"); err != nil {
		skipOrFail(t, "cannot mount: "+err.Error())
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "rouse.db")
	s := openTest(t, path, Config{})
	was, err := disk.FileSize(path)
	if err != nil {
		t.Fatal(err)
	}
	const more = 100 << 10
	if err := s.extend(was, was+more); err != nil {
		t.Fatal(err)
	}
	if now, err := disk.FileSize(path); err != nil || now != was+more {
		t.Errorf("%d bytes, %v, want %d", now, err, was+more)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(was + more), Max: ^uint64(0)}); err != nil { //nolint:gosec // positive
		t.Fatal(err)
	}
	if err := s.extend(was+more, was+2*more); err == nil || !disk.IsFull(err) {
		t.Errorf("%v, want that it is full", err)
	}
}

// TestHolesNotFilled checks a disk that fails to give the file its blocks, and not for lack
// of space. The store closes.
func TestHolesNotFilled(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	closed, err := os.Open(s.path)
	if err == nil {
		err = closed.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.space = space{file: closed}
	if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("a")}); !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.EBADF) {
		t.Errorf("%v, want ErrFailed", err)
	}
}
