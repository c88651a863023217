//go:build !linux

package bolt

import "os"

// blocksOf works on Linux only.
func blocksOf(os.FileInfo) (int64, bool) { return 0, false }
