//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package disk

import "os"

// UnlockMapped leaves it to closing a file that bbolt has locked: that ends the lock.
func UnlockMapped(*os.File) {}

// shareFile takes none: on Windows it would keep who has the file open from writing.
func shareFile(string) (let func(), err error) { return func() {}, nil }
