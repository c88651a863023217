package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
)

// TestModes checks that only the owner can read the package's files and enter its folders,
// whatever the umask. A umask belongs to a process, so the test has one of its own.
func TestModes(t *testing.T) {
	t.Parallel()
	if !alone(t, nil) {
		return
	}
	for _, mask := range []int{0o000, 0o022, 0o077} {
		root := t.TempDir()
		syscall.Umask(mask)
		err := everyFile(filepath.Join(root, "state", "rouse", "rouse.db"))
		syscall.Umask(0o022)
		if err != nil {
			t.Errorf("umask %03o: %v", mask, err)
			continue
		}
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %03o: %s has mode %s, want %s", mask, path, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// everyFile makes every file that the package can make.
func everyFile(path string) error {
	s, err := Open(path, Config{})
	if err != nil {
		return err
	}
	backup := filepath.Join(filepath.Dir(path), "copy.db")
	failNth(s, 1, faults()[1], syscall.EIO)
	if err := s.SetPaused(context.Background(), "s", true, "mo", testTime()); !errors.Is(err, store.ErrFailed) {
		return fmt.Errorf("a broken disk: %w", err)
	}
	if err := s.Close(); err != nil { // a failure leaves its marker
		return err
	}
	if _, err := os.Stat(path + disk.SuspectSuffix); err != nil {
		return err
	}
	if err := os.Link(path+disk.SuspectSuffix, path+".kept"); err != nil { // because the next opening removes it
		return err
	}
	if s, err = Open(path, Config{}); err != nil { // this also copies the file
		return err
	}
	return errors.Join(s.Backup(context.Background(), backup), s.Close())
}

// TestNoFile checks that anything at the path that is no file is refused and left unchanged.
func TestNoFile(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to a pipe": func(path string) error {
			return errors.Join(syscall.Mkfifo(path+".pipe", 0o600), os.Symlink(path+".pipe", path))
		},
		"a link to a folder":   func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"a link to itself":     func(path string) error { return os.Symlink(path, path) },
		"a file in the way":    func(path string) error { return os.WriteFile(filepath.Dir(path)+"/x", nil, 0o600) },
		"a link to a lost one": func(path string) error { return os.Symlink(path+".lost/x", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			if name == "a file in the way" {
				path = filepath.Join(filepath.Dir(path), "x", "rouse.db")
			}
			before, _ := os.Lstat(path)
			s, err := Open(path, Config{})
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), filepath.Dir(path)) && !strings.Contains(err.Error(), "/dev/zero") {
				t.Errorf("%v does not name the path", err)
			}
			if before == nil || name == "a link to itself" { // the system's own errors
				return
			}
			if !errors.Is(err, disk.ErrForeign) {
				t.Errorf("%v, want ErrForeign", err)
			}
			if after, aerr := os.Lstat(path); aerr != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("it was changed: %v", aerr)
			}
		})
	}
	t.Run("a socket", func(t *testing.T) {
		path := testPath(t)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := Open(path, Config{}); !errors.Is(err, disk.ErrForeign) {
			t.Errorf("%v, want ErrForeign", err)
		}
	})
}

// TestLongNames checks a path that is too long for one of the files next to the database.
// Open returns the system's error with that name, and leaves nothing.
func TestLongNames(t *testing.T) {
	t.Parallel()
	for beside, length := range map[string]int{disk.LockSuffix: 252, disk.SuspectSuffix: 248, disk.TempInfix + "1234567890": 245} {
		t.Run(beside, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := filepath.Join(folder, strings.Repeat("x", length))
			if _, err := Open(path, Config{}); !errors.Is(err, syscall.ENAMETOOLONG) || !strings.Contains(err.Error(), path) {
				t.Errorf("a new file: %v", err)
			}
			copyTo(t, golden, path)
			if err := os.WriteFile(path+disk.SuspectSuffix, nil, 0o600); err != nil && beside == disk.TempInfix+"1234567890" {
				t.Fatal(err)
			}
			if _, err := Open(path, Config{}); !errors.Is(err, syscall.ENAMETOOLONG) || !strings.Contains(err.Error(), path) {
				t.Errorf("an existing file: %v", err)
			}
			if left, _ := filepath.Glob(path + disk.TempInfix + "*"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestNoFolder checks that the error of a folder that cannot be made is the system's, and
// names the folder.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/proc/rouse/rouse.db", "/proc/rouse/state/rouse.db"} {
		if _, err := Open(path, Config{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/proc/rouse") {
			t.Errorf("Open(%s): %v", path, err)
		}
	}
}
