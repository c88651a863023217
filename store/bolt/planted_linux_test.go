package bolt

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestPlantedFiles checks that the package does not write to the target of whatever another
// user put in the place of its files.
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
			unlink(t, path+disk.LockSuffix)
			if err := plant(victim, path+disk.LockSuffix); err != nil {
				t.Fatal(err)
			}
			before := folderText(t, filepath.Dir(victim)) + folderText(t, filepath.Dir(path))
			_, oerr := Open(path, Config{})
			_, rerr := repair.Repair(t.Context(), path, repair.Config{})
			_, nerr := disk.LockFile(path, -1)
			for what, err := range map[string]error{"Open": oerr, "Repair": rerr, "lockFile": nerr} {
				if !errors.Is(err, disk.ErrUnsafe) || !strings.Contains(err.Error(), path+disk.LockSuffix) || !strings.Contains(err.Error(), "remove it") {
					t.Errorf("%s: %v, want ErrUnsafe that names the file", what, err)
				}
			}
			if after := folderText(t, filepath.Dir(victim)) + folderText(t, filepath.Dir(path)); after != before {
				t.Errorf("the folders were\n%sand are\n%s", before, after)
			}
		})
	}
}

// TestPlantedMark checks a link in the place of the marker of a failed sync. The package
// does not follow it, and it counts as the marker.
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
		if err := os.Symlink(victim, path+disk.SuspectSuffix); err != nil {
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
			t.Errorf("the target of the link holds %q, %v", data, err)
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
		if _, err := os.Lstat(path + disk.SuspectSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the mark: %v", err)
		}
	}
}

// TestReplacedByALink checks that no file of this package is opened through a link that
// replaced it.
func TestReplacedByALink(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	touch(t, path+".victim")
	if err := os.Symlink(path+".victim", path); err != nil {
		t.Fatal(err)
	}
	_, copied := disk.CopyFile(path)
	_, _, opened := format.OpenBoltFile(path, &bbolt.Options{})
	for what, err := range map[string]error{"copied": copied, "synced": disk.SyncFile(path), "opened": opened} {
		if !errors.Is(err, syscall.ELOOP) {
			t.Errorf("%s: %v, want an error that it is a link", what, err)
		}
	}
}

// TestForeignFilesStayAlone checks that a file of another kind is refused before anything is
// made next to it. A URL is refused before a folder is made for it.
func TestForeignFilesStayAlone(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	touch(t, path)
	before := folderText(t, filepath.Dir(path))
	if _, err := Open(path, Config{}); !errors.Is(err, disk.ErrForeign) {
		t.Errorf("%v, want ErrForeign", err)
	}
	if after := folderText(t, filepath.Dir(path)); after != before {
		t.Errorf("the folder was\n%sand is\n%s", before, after)
	}
	for _, c := range []Config{{}, {ReadOnly: true}} {
		if _, err := Open("postgres://host/db", c); !errors.Is(err, disk.ErrForeign) || !strings.Contains(err.Error(), "is a URL") {
			t.Errorf("%v, want ErrForeign", err)
		}
	}
	if _, err := os.Lstat("postgres:"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

// TestSharedFolder checks that a folder in which every user may replace files is refused. A
// folder with the sticky bit is accepted if the files belong to this user.
func TestSharedFolder(t *testing.T) {
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
		if !errors.Is(oerr, disk.ErrUnsafe) || !strings.Contains(oerr.Error(), "run chmod o-w") {
			t.Errorf("Open: %v, want ErrUnsafe that says what to do", oerr)
		}
	}
	if _, err := repair.Repair(t.Context(), path, repair.Config{}); !errors.Is(err, disk.ErrUnsafe) {
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
	for _, name := range []string{path + disk.LockSuffix, path, path + disk.SuspectSuffix} {
		if name == path+disk.SuspectSuffix {
			touch(t, name)
		}
		if err := os.Chown(name, testUser, testGroup); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Config{noSync: true}); !errors.Is(err, disk.ErrUnsafe) || !strings.Contains(err.Error(), name+" belongs to user 12345") {
			t.Errorf("%s of another user: %v, want ErrUnsafe that names it", name, err)
		}
		if err := os.Chown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlantedPaths uses a folder where every user may make files. Another user may have made
// the folder of the database, or a link to it, before this user did. A backup that root
// makes in such a folder stays root's.
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
		_, rerr := repair.Repair(t.Context(), path, repair.Config{})
		for what, err := range map[string]error{"Open": oerr, "Repair": rerr} {
			if what == "Repair" && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !errors.Is(err, disk.ErrUnsafe) || !strings.Contains(err.Error(), named+" belongs to user 12345") {
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
	if info, err := os.Lstat(backup); err != nil || disk.OwnerOf(info) != (disk.Owner{UID: 0, GID: 0, Mode: 0o600}) {
		t.Errorf("the backup of root: %+v, %v", disk.OwnerOf(info), err)
	}
	// A folder of this user inside such a folder is accepted.
	if err := os.Mkdir(filepath.Join(common, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	openTest(t, filepath.Join(common, "own", "rouse.db"), Config{noSync: true})
}

// TestPlantedMeanwhile checks that a database is refused that another user makes after the
// first check of Open, and before Open has the lock.
func TestPlantedMeanwhile(t *testing.T) {
	t.Parallel()
	theirs := userDatabase(t)
	path := testPath(t)
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	lock, err := disk.LockFile(path, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(theirs, path); err != nil {
		t.Fatal(err)
	}
	s := newStore(path, Config{noSync: true}.withDefaults(), lock)
	if _, err := s.begin(s.start(false)); !errors.Is(err, disk.ErrUnsafe) || !strings.Contains(err.Error(), path+" belongs to user 12345") {
		t.Errorf("%v, want ErrUnsafe", err)
	}
}
