//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package bolt

import "os"

// closeMapped closes a file that bbolt has locked: that ends the lock.
func closeMapped(f *os.File) { _ = f.Close() }
