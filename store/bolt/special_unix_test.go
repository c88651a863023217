//go:build unix

package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestSpecialFiles checks that every call that reads a file refuses what is no file, and
// does not wait for a writer of a FIFO. A link without a target is no place for a database.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(path string) error
		want error // nil: any
	}{
		"a FIFO":      {func(p string) error { return syscall.Mkfifo(p, 0o600) }, disk.ErrForeign},
		"a directory": {func(p string) error { return os.Mkdir(p, 0o700) }, disk.ErrForeign},
		"a loop":      {func(p string) error { return os.Symlink(filepath.Base(p), p) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			ends(t, name, func() {
				_, oerr := Open(path, Config{})
				_, verr := repair.Check(t.Context(), path, repair.CheckConfig{})
				_, rerr := repair.Repair(t.Context(), path, repair.Config{})
				for who, err := range map[string]error{"Open": oerr, "Verify": verr, "Repair": rerr} {
					if err == nil || c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("%s: %v, want %v", who, err, c.want)
					}
				}
			})
			if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() {
				t.Errorf("it was changed: %v, %v", after, err)
			}
		})
	}
}
