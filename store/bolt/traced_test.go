package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// childTraced is set to a seed and a number of steps if the child must run a workload.
// strace makes its system calls fail.
const childTraced = "ROUSE_TEST_TRACED"

// traced runs a workload in two halves, with a backup after each. The second half opens a
// file that it first copies, as after a failed sync, and compacts. A step makes one change.
// On a full disk a store makes several changes in parts, and may not know whether all are
// done. traced prints a line for the result of each step, and ends when the store closes.
func traced(path string, out io.Writer) error {
	var seed uint64
	var n int
	if _, err := fmt.Sscan(os.Getenv(childTraced), &seed, &n); err != nil {
		return err
	}
	steps := newScript(seed, n, 1).steps
	for _, half := range [][]step{steps[:n/2], steps[n/2:]} {
		s, err := Open(path, Config{sparse: 1})
		if err != nil {
			_, _ = fmt.Fprintf(out, "open %q\n", err)
			return nil
		}
		_, _ = fmt.Fprintln(out, "opened")
		for _, st := range half {
			if !persist(s, st, out) {
				_ = s.Close()
				return nil
			}
		}
		err = s.Backup(context.Background(), path+".copy")
		if errors.Is(err, os.ErrExist) {
			err = nil // the second half has its own already
		}
		if err == nil {
			_, _ = fmt.Fprintln(out, "copied")
		}
		if err := errors.Join(s.Close(), hollow(path), os.WriteFile(path+disk.SuspectSuffix, nil, 0o600)); err != nil {
			_, _ = fmt.Fprintf(out, "closed %q\n", err)
			return nil
		}
	}
	return nil
}

// hollow makes most of a closed file free.
func hollow(path string) error {
	db, err := format.OpenBolt(path, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	junk := []byte("junk")
	for _, fn := range []func(tx *bbolt.Tx) error{
		func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(junk)
			for i := 0; err == nil && i < 300; i++ {
				err = b.Put(format.SeqKey(uint64(i)), make([]byte, 4<<10)) //nolint:gosec // small
			}
			return err
		},
		func(tx *bbolt.Tx) error { return tx.DeleteBucket(junk) },
	} {
		if err == nil {
			err = format.Inside(path, db, true, fn)
		}
	}
	return errors.Join(err, db.Close())
}

// persist makes a step, and repeats it while the disk is full. It reports whether the step
// is done.
func persist(s *Store, st step, out io.Writer) bool {
	for range 4 {
		_, err := st.do(context.Background(), s)
		switch {
		case err == nil:
			_, _ = fmt.Fprintln(out, "acked")
			return true
		case errors.Is(err, store.ErrFull):
			_, _ = fmt.Fprintf(out, "full %q\n", err)
		case errors.Is(err, store.ErrUnknown):
			_, _ = fmt.Fprintf(out, "unknown %q\n", err)
		default:
			_, _ = fmt.Fprintf(out, "failed %q\n", err)
			return false
		}
	}
	return false
}
