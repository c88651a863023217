//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package disk

import "os"

// UnlockMapped does nothing, because closing the file ends the lock here.
func UnlockMapped(*os.File) {}

// shareFile takes no lock. On Windows a lock would keep the process that has the file open
// from writing.
func shareFile(string) (let func(), err error) { return func() {}, nil }
