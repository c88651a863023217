package repair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// Job is a part of Verify or Repair that reads what may be damaged. It is plain
// data, so that a program can have it done by a child process with limits of
// memory and time: a damaged page can take either without end, or fault in a
// goroutine of bbolt's own, which ends the process and which no recover prevents.
type Job struct {
	Path string
	Copy string // the empty file to write the repaired database to; "": only check Path
}

// Done is what came of a Job.
type Done struct {
	Report  format.Report // of Path; of Copy if the job was to mend
	Outcome Outcome
}

// Do does the job in this process, on a file whose lock the caller holds. The
// error is why it could not be done; a file that is damaged is none for a job
// that looks.
func (j Job) Do(ctx context.Context, tell format.Progress) (Done, error) {
	if j.Copy != "" {
		return j.Repair(ctx, tell)
	}
	r, err := verifyFile(ctx, j.Path, tell)
	return Done{Report: r}, err
}

// JobFunc has a job done somewhere. What it returns is as Job.Do returns it. If the
// job did not finish, for a reason outside of the file, the error wraps
// ErrInconclusive.
type JobFunc func(ctx context.Context, j Job) (Done, error)

// VerifyConfig says how to verify. The zero value works.
type CheckConfig struct {
	// Do does what may end the process that does it. Defaults to Job.Do, in
	// this one.
	Do JobFunc
	// LockTimeout is as in Config.
	LockTimeout time.Duration
}

// Verify examines the file at path as deeply as this package can: its length, all
// its pages by a reading of our own and by bbolt's, every record as Store.Check
// reads it. It writes nothing, and shares the lock with other readers meanwhile. A
// file that a process has open for writing cannot be verified, since its pages
// change while they are read: that is a *LockedError. Store.Check checks the records
// of an open store.
//
// What is damaged is in the report; the error is why it could not be examined:
// fs.ErrNotExist, ErrForeign, ErrNewer, a *LockedError, or what c.Do returned:
// ErrInconclusive, if the job did not finish.
func Check(ctx context.Context, path string, c CheckConfig) (format.Report, error) {
	path, unlock, err := disk.Hold(path, c.LockTimeout, false)
	if err != nil {
		return format.Report{}, err
	}
	defer unlock()
	d, err := c.Do.do(ctx, Job{Path: path})
	return d.Report, err
}

func (do JobFunc) do(ctx context.Context, j Job) (Done, error) {
	if do == nil {
		return j.Do(ctx, nil)
	}
	return do(ctx, j)
}

// verifyFile is Verify's reading. The lock is held.
func verifyFile(ctx context.Context, path string, tell format.Progress) (format.Report, error) {
	f, err := disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return format.Report{}, fmt.Errorf("bolt: %w", err)
	}
	err = format.CheckFile(path, f, tell)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	if err != nil {
		return asReport(err)
	}
	db, file, err := format.OpenBoltFile(path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return asReport(err)
	}
	r, err := verifyDB(ctx, path, db, tell)
	disk.UnlockMapped(file) // bbolt does not, of a file that it only reads
	if cerr := format.CloseDB(db, err); err == nil && cerr != nil {
		err = fmt.Errorf("bolt: %w", cerr)
	}
	if err == nil {
		return r, nil
	}
	below, err := asReport(format.Named(path, err))
	r.Problems = append(r.Problems, below.Problems...)
	return r, err
}

// asReport makes an error that says what is damaged a report.
func asReport(err error) (format.Report, error) {
	var c *format.CorruptError
	if errors.As(err, &c) {
		return format.Report{Problems: []*format.CorruptError{c}}, nil
	}
	return format.Report{}, err
}

// fewFaults is how many of bbolt's own complaints are kept: one damaged page can
// make thousands.
const fewFaults = 20

// verifyDB has bbolt check its pages, and reads all records.
func verifyDB(ctx context.Context, path string, db *bbolt.DB, tell format.Progress) (format.Report, error) {
	var faults []*format.CorruptError
	err := format.Inside(path, db, false, func(tx *bbolt.Tx) error {
		if err := format.CheckSchema(tx); err != nil {
			return err
		}
		for fault := range tx.Check() { // to the end: else its goroutine waits for ever
			if len(faults) < fewFaults {
				faults = append(faults, &format.CorruptError{Path: path, Detail: fault.Error()})
			}
		}
		return nil
	})
	if err != nil {
		return format.Report{Problems: faults}, err
	}
	r, err := format.CheckDB(ctx, path, func(fn func(b format.Buckets) error) error {
		return format.Inside(path, db, false, format.WithBuckets(fn))
	}, tell)
	r.Problems = append(faults, r.Problems...)
	return r, err
}
