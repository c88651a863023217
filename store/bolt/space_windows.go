package bolt

import "golang.org/x/sys/windows"

// diskSpace returns a file system's free space for this user, and its size, in bytes.
func diskSpace(folder string) (free, all int64, ok bool) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, 0, false
	}
	var mine, whole uint64
	if err := windows.GetDiskFreeSpaceEx(name, &mine, &whole, nil); err != nil {
		return 0, 0, false
	}
	return int64(mine), int64(whole), true //nolint:gosec // bytes of a disk
}
