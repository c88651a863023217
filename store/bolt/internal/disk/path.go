package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RealPath returns the path of the file behind any links, because the file itself is
// replaced at times. For a caller that writes, it follows no link that another user may have
// made, in /tmp for example.
func RealPath(path string, writes bool) (string, error) {
	if strings.Contains(path, "://") {
		return "", fmt.Errorf("%w: %s is a URL, and the database is a file: give a path", ErrForeign, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("bolt: %w", err)
	}
	if writes {
		if err := checkMakers(path); err != nil {
			return "", err
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	return path, nil // there is none yet
}

// Exists reports whether there is a file at path that may be a database. Its error names
// what else is there.
func Exists(path string) (exists bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if to, err := os.Readlink(path); err == nil {
			return false, fmt.Errorf("%w: %s is a link to %s, which does not exist: remove the link, or restore its target", ErrForeign, path, to)
		}
		return false, nil
	case err != nil:
		return false, fmt.Errorf("bolt: %w", err)
	case info.IsDir():
		return false, fmt.Errorf("%w: %s is a directory: give the path of a file", ErrForeign, path)
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%w: %s is not a regular file (%s): give the path of a file", ErrForeign, path, info.Mode().Type())
	case info.Size() == 0:
		return false, fmt.Errorf("%w: %s is empty: remove it if you miss nothing", ErrForeign, path)
	case info.Mode().Perm()&0o200 == 0:
		return false, fmt.Errorf("%w: %s has mode %s: run chmod u+w %[2]q, or open it for reading only", ErrReadOnly, path, info.Mode().Perm())
	}
	return true, nil
}

func FileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("bolt: %w", err)
	}
	return info.Size(), nil
}
