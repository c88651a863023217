//go:build !linux && !darwin && !windows

package bolt

// diskSpace does not know the space on this system.
func diskSpace(string) (free, all int64, ok bool) { return 0, 0, false }
