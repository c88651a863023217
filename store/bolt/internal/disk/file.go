package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The names of the files next to the database end with these texts.
const (
	LockSuffix    = ".lock"    // locked while the database is open
	SuspectSuffix = ".suspect" // exists after a failed sync: what a read returns may not be on disk
	TempInfix     = ".temp-"   // in the name of a file that is being made
)

// MakeFolder makes a folder that only its owner can enter, and the folders above it. If root
// makes it, it belongs to the owner of the folder above. MakeFolder leaves a folder alone
// that exists.
func MakeFolder(folder string) error {
	if _, err := os.Stat(folder); err == nil || folder == filepath.Dir(folder) {
		return nil
	}
	if err := MakeFolder(filepath.Dir(folder)); err != nil {
		return err
	}
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, os.ErrExist) { // another process was faster
		return nil
	}
	if err == nil {
		err = inheritOwner(folder, filepath.Dir(folder))
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return SyncFolder(filepath.Dir(folder))
}

// RemoveLeftovers removes the unfinished files that a crash left. The caller must make sure
// that no process is making one.
func RemoveLeftovers(path string) {
	old, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range old {
		made, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+TempInfix)
		if ok && strings.Trim(made, "0123456789") == "" && e.Type().IsRegular() { // as os.CreateTemp names them
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

// tempFile makes an empty file next to path, with the owner and mode that a file at
// path must have, whatever the umask.
func tempFile(path string) (*os.File, error) {
	o, err := OwnerAt(path)
	if err != nil {
		return nil, err
	}
	return TempFileOf(path, o)
}

// TempFileOf is tempFile for a file that belongs to o.
func TempFileOf(path string, o Owner) (*os.File, error) {
	if err := o.check(path); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+TempInfix)
	if err != nil {
		return nil, fmt.Errorf("bolt: %w", AsFull(err))
	}
	if err := o.Give(f); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

// TempName is tempFile for a caller that opens the file by name.
func TempName(path string) (string, error) {
	f, err := tempFile(path)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("bolt: %w", err)
	}
	return f.Name(), nil
}

// SyncFile makes the content of a file durable.
func SyncFile(path string) error {
	f, err := OpenFile(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncAndClose(f)
}

func syncAndClose(f *os.File) error {
	if err := cmp.Or(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return nil
}

// SyncFolder makes the names in a folder durable. Windows has no such call.
func SyncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(folder) //nolint:gosec // the host's own path
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return syncAndClose(d)
}

// PublishFile gives a synced file its name. If there is a file of that name, PublishFile
// returns os.ErrExist and leaves that file alone.
func PublishFile(temp, path string) error {
	err := os.Link(temp, path)
	switch {
	case err == nil:
		err = os.Remove(temp)
	case errors.Is(err, os.ErrExist):
	default: // a file system without links
		switch _, serr := os.Lstat(path); {
		case serr == nil:
			err = &os.PathError{Op: "rename", Path: path, Err: os.ErrExist}
		case errors.Is(serr, os.ErrNotExist):
			err = os.Rename(temp, path)
		default: // the file system cannot say whether the name is taken
			err = serr
		}
	}
	if err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return SyncFolder(filepath.Dir(path))
}

// ReplaceFile puts a synced file in the place of another file.
func ReplaceFile(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("bolt: %w", err)
	}
	return SyncFolder(filepath.Dir(path))
}

// CopyFile copies path to a new synced file next to it and returns that file's name.
func CopyFile(path string) (name string, err error) {
	from, err := OpenFile(path, os.O_RDONLY)
	if err != nil {
		return "", fmt.Errorf("bolt: %w", err)
	}
	defer func() { _ = from.Close() }()
	to, err := tempFile(path)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Sync()
	}
	if err = cmp.Or(err, to.Close()); err != nil {
		_ = os.Remove(to.Name())
		return "", fmt.Errorf("bolt: copying %s: %w", path, AsFull(err))
	}
	return to.Name(), nil
}
