package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// fillLimited starts operations until the file may not grow any more, and prints
// how many were stored. It runs in a process of its own, since a limit is a
// process's.
func fillLimited(path string, out io.Writer) error {
	s, err := Open(path, Config{})
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 6 << 20, Max: 6 << 20} // past the first growth
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	ctx := context.Background()
	stored, full := 0, 0
	for full < 5 {
		ops := make([]store.Operation, 200)
		for i := range ops {
			ops[i] = testOp(numbered(stored + i))
		}
		switch _, err := s.Enqueue(ctx, ops); {
		case errors.Is(err, store.ErrFull):
			full++
		case err != nil:
			return err
		default:
			stored += len(ops)
		}
	}
	all, err := listed(ctx, s)
	if err == nil && len(all) != stored {
		err = fmt.Errorf("%d stored, and the full store shows %d", stored, len(all))
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "stored", stored)
	return err
}

// TestFileSizeLimit meets a limit as the kernel enforces it: what does not fit is
// refused, what was stored can be read, and the file opens again.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	if err := openTest(t, path, Config{}).Close(); err != nil {
		t.Fatal(err)
	}
	cmd, lines := startChild(t, path, childLimited+"=1")
	var stored int
	if !lines.Scan() {
		t.Fatal("the child said nothing")
	}
	if _, err := fmt.Sscan(lines.Text()[len("stored "):], &stored); err != nil {
		t.Fatal(lines.Text(), err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, path, Config{})
	if n := clean(t, s); n != stored || n == 0 {
		t.Errorf("%d operations, want %d", n, stored)
	}
	put(t, s, "with room again")
}
