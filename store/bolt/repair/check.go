package repair

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"
)

// Report is the result of Check. It is bolt.Report.
type Report = format.Report

// Progress is called during a long check or repair. The text what is "pages" or
// "records", done is how many are read, and of is how many there are. Zero means that
// this is not known.
type Progress = format.Progress

// Job is the part of Check or Repair that reads the damaged file. It is plain data, so that
// a child process with limits of memory and time can do it. A damaged page can take memory
// or time without end. It can also crash a goroutine of bbolt, which no recover prevents.
type Job struct {
	Path string
	Copy string // the empty file to write the repaired database to; "": only check Path
}

// Done is the result of a Job.
type Done struct {
	Report  Report // of Path, or of Copy if the job was a repair
	Outcome Outcome
}

// Do runs the job in this process, on a file whose lock the caller holds. tell may be nil.
// Damage that a check finds is in Done.Report and is no error.
func (j Job) Do(ctx context.Context, tell Progress) (Done, error) {
	if j.Copy != "" {
		return j.Repair(ctx, tell)
	}
	r, err := verifyFile(ctx, j.Path, tell)
	return Done{Report: r}, err
}

// JobFunc runs a job in some process, and returns what Job.Do returns there. If the job did
// not finish for a reason outside of the file, the error wraps ErrInconclusive.
type JobFunc func(ctx context.Context, j Job) (Done, error)

// CheckConfig says how to check. The zero value works.
type CheckConfig struct {
	// Do runs a job, which may crash its process. Defaults to Job.Do in this process.
	Do JobFunc
	// LockTimeout is as in bolt.Config.
	LockTimeout time.Duration
}

// Check examines the file at path: its length, all its pages, and every record as
// Store.Check reads it. It writes nothing, and shares the lock with other readers. If a
// process has the file open for writing, Check returns a *bolt.LockedError, because pages
// would change while they are read. Store.Check checks the records of an open store.
//
// Damage is in the report. The error says why the file could not be examined:
// fs.ErrNotExist, bolt.ErrForeign, bolt.ErrNewer, a *bolt.LockedError, or the error of c.Do.
// If the job did not finish, the error wraps ErrInconclusive.
func Check(ctx context.Context, path string, c CheckConfig) (Report, error) {
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

// verifyFile reads the file for Check. The caller holds the lock.
func verifyFile(ctx context.Context, path string, tell Progress) (Report, error) {
	if err := format.CheckFile(path, os.O_RDONLY, tell); err != nil {
		return asReport(err)
	}
	var r Report
	err := format.Reading(path, func(db *bbolt.DB) (err error) {
		r, err = verifyDB(ctx, path, db, tell)
		return err
	})
	below, err := asReport(err)
	r.Problems = append(r.Problems, below.Problems...)
	return r, err
}

// asReport returns a *CorruptError as a report, and any other error as it is.
func asReport(err error) (Report, error) {
	var c *format.CorruptError
	if errors.As(err, &c) {
		return format.Report{Problems: []*format.CorruptError{c}}, nil
	}
	return format.Report{}, err
}

// fewFaults is how many of the problems that bbolt reports are kept, because one damaged
// page can cause thousands.
const fewFaults = 20

// verifyDB lets bbolt check its pages, and reads all records.
func verifyDB(ctx context.Context, path string, db *bbolt.DB, tell Progress) (Report, error) {
	var faults []*format.CorruptError
	err := format.Inside(path, db, false, func(tx *bbolt.Tx) error {
		if err := format.CheckSchema(tx); err != nil {
			return err
		}
		for fault := range tx.Check() { // until the end, because bbolt's goroutine would wait forever
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
