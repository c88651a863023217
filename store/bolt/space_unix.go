//go:build linux || darwin

package bolt

import "golang.org/x/sys/unix"

// diskSpace returns a file system's free space for this user, and its size, in bytes.
func diskSpace(folder string) (free, all int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, 0, false
	}
	block := int64(st.Bsize)                                        //nolint:unconvert // its type differs by platform
	return int64(st.Bavail) * block, int64(st.Blocks) * block, true //nolint:gosec // bytes of a disk
}
