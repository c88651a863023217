//go:build linux || darwin

package main

import "golang.org/x/sys/unix"

// modesCount reports whether the modes of files say who may use them.
const modesCount = true

// freeSpace returns how many bytes this user may still write to the disk of a folder.
func freeSpace(folder string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:gosec,unconvert // the types differ by system
}
