//go:build !linux && !darwin && !windows

package bolt

// diskSpace is not known here.
func diskSpace(string) (free, all int64, ok bool) { return 0, 0, false }
