// Package ram gives tests a folder in memory: for those that make thousands of
// files or commits, and are not about the disk.
package ram

import (
	"os"
	"testing"
)

// Dir returns a folder for one test, in memory if the machine has such a place. It is
// removed after the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rouse-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
