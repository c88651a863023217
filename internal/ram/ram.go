// Package ram gives tests a folder in memory: for those that make thousands of
// files or commits, and are not about the disk.
package ram

import (
	"os"
	"testing"
)

// Dir is a folder for one test, in memory where the machine has such a place,
// and removed after it.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rouse-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
