package bolt

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// stillAt reports whether path names file. It asks only for the number of the inode. If it
// asked for the times of the file, the kernel would write them with the next sync, which
// made a start an eighth slower.
func stillAt(path string, file os.FileInfo) bool {
	was, ok := file.Sys().(*syscall.Stat_t)
	var now unix.Statx_t
	if !ok || unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &now) != nil {
		return stillNamed(path, file) // no such call, or no such file
	}
	return now.Ino == was.Ino && unix.Mkdev(now.Dev_major, now.Dev_minor) == uint64(was.Dev) //nolint:unconvert // not everywhere
}
