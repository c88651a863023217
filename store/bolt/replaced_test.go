package bolt

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestFileRemoved checks that no request is acknowledged after the file was removed.
func TestFileRemoved(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed on this system")
	}
	for name, take := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".other", []byte("another"), 0o600), os.Rename(path+".other", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/rouse.db"
			s, err := Open(path, Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Enqueue(t.Context(), []store.Operation{testOp("a")}); err != nil {
				t.Fatal(err)
			}
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			_, err = s.Enqueue(t.Context(), []store.Operation{testOp("b")})
			if !errors.Is(err, store.ErrFailed) || !strings.Contains(err.Error(), path) {
				t.Errorf("Enqueue = %v, want ErrFailed that names the file", err)
			}
		})
	}
}
