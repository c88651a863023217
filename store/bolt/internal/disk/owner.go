package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A file that is made next to a database, or in its place, gets the database's owner, group
// and mode. So root can work on a user's database without locking that user out.

// Owner is a file's user, group and permissions.
type Owner struct {
	UID, GID int // -1: the system decides
	Mode     os.FileMode
}

// OwnerAt returns the owner that a file made for path must have. That is the owner of the
// file at path, or this process if there is no file. If this process is root, a new file
// belongs to the owner of its folder. OwnerAt refuses a folder that another user may have
// made as a trap for root: see checkMaker.
func OwnerAt(path string) (Owner, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() {
		return OwnerOf(info), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Owner{}, fmt.Errorf("bolt: %w", err)
	}
	o := Owner{UID: -1, GID: -1, Mode: 0o600}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return Owner{}, fmt.Errorf("bolt: %w", err)
	}
	if of := OwnerOf(folder); isRoot() && of.UID > 0 && checkMakers(path) == nil {
		o.UID, o.GID = of.UID, of.GID
	}
	return o, nil
}

// check returns ErrNotOwner if this process cannot give a file to o. It is called
// before anything is written.
func (o Owner) check(path string) error {
	if o.UID == -1 || isRoot() || o.UID == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%w: %s belongs to user %d, and a process of user %d would replace it or add a file: run this as user %d or as root",
		ErrNotOwner, path, o.UID, os.Geteuid(), o.UID)
}

// Give makes o the owner of a file that this process has made.
func (o Owner) Give(f *os.File) error {
	err := o.chown(f)
	if err == nil {
		err = f.Chmod(o.Mode)
	}
	if err != nil && hasOwners {
		return fmt.Errorf("%w: %s cannot get the owner and mode of the database: run this as that owner or as root: %w", ErrNotOwner, f.Name(), err)
	}
	return nil
}

// OpenFile opens a file, and refuses a symbolic link, because another user may have made the
// link.
func OpenFile(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|NoFollow, 0) //nolint:gosec // the host's own path
}

// checkNeighbour refuses anything but a regular file with one name, because a write could
// change another file or a device.
func checkNeighbour(path string, info os.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: %s is a symbolic link, and writing to it would change another file: find out who made it, and remove it", ErrUnsafe, path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file (%s): find out who made it, and remove it", ErrUnsafe, path, info.Mode().Type())
	case links(info) > 1:
		return fmt.Errorf("%w: %s has %d names, and writing to it would change a file elsewhere: find out who made it, and remove it", ErrUnsafe, path, links(info))
	}
	return nil
}

// CheckFolder refuses to write in a folder where every user may replace the files of others.
// In a folder with the sticky bit, such as /tmp, users cannot do that. There the database,
// the files next to it and the folders on its path must not belong to another user.
func CheckFolder(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	if everyone(info) && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%w: every user may replace files in %s (mode %s): run chmod o-w %[2]q, or choose a folder of your own", ErrUnsafe, folder, info.Mode().Perm())
	}
	for _, name := range []string{path + LockSuffix, path + SuspectSuffix} {
		if err := checkMaker(name); err != nil {
			return err
		}
	}
	return checkMakers(path)
}

// checkMakers is checkMaker for path and for each folder and link on the way to it.
func checkMakers(path string) error {
	for name := path; name != filepath.Dir(name); name = filepath.Dir(name) {
		if err := checkMaker(name); err != nil {
			return err
		}
	}
	return nil
}

// checkMaker refuses a name that another user may have made before this user did. Such a
// name is in a folder where every user may make files, and belongs neither to this user nor
// to root.
func checkMaker(name string) error {
	folder := filepath.Dir(name)
	in, err := os.Stat(folder)
	if err != nil || !everyone(in) {
		return nil //nolint:nilerr // a folder that is not there yet, this process makes
	}
	info, err := os.Lstat(name)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	if uid := OwnerOf(info).UID; uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("%w: every user may make files in %s, and %s belongs to user %d, not to %d: choose a folder of your own", ErrUnsafe, folder, name, uid, os.Geteuid())
	}
	return nil
}

// everyone reports whether every user may make files in a folder.
func everyone(folder os.FileInfo) bool { return hasOwners && folder.Mode().Perm()&0o002 != 0 }
