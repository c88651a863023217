//go:build !linux

package bolt

import "os"

// stillAt reports whether path names file.
func stillAt(path string, file os.FileInfo) bool { return stillNamed(path, file) }
