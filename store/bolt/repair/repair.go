package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// Loss names something that is lost or doubtful: events, an operation, a lane's record, or a
// page of the damaged file. If only Detail is set, it is not known what is lost.
type Loss struct {
	First, Last uint64        // the numbers of the events; zero if it is not about events
	Operation   store.ID      // empty if it is not about an operation
	Ref         transport.Ref // the operation's session; zero if it is not known
	Lane        string        // empty if it is not about a lane
	Page        uint64        // of the damaged file; zero if it is not about a page
	Detail      string        // what happened to it, for people
}

// String returns what is lost and Detail, for people.
func (l Loss) String() string {
	switch {
	case l.Operation != "" && l.Ref != (transport.Ref{}):
		return fmt.Sprintf("operation %s of session %s: %s", l.Operation, l.Ref, l.Detail)
	case l.Operation != "":
		return fmt.Sprintf("operation %s: %s", l.Operation, l.Detail)
	case l.First != 0 && l.First == l.Last:
		return fmt.Sprintf("event %d: %s", l.First, l.Detail)
	case l.First != 0:
		return fmt.Sprintf("events %d to %d: %s", l.First, l.Last, l.Detail)
	case l.Page != 0:
		return fmt.Sprintf("page %d: %s", l.Page, l.Detail)
	case l.Vague():
		return l.Detail
	}
	return fmt.Sprintf("lane %q: %s", l.Lane, l.Detail)
}

// Vague reports whether the extent of the loss is unknown.
func (l Loss) Vague() bool { return l == Loss{Detail: l.Detail} }

// Outcome says how the repaired file differs from the file before the damage.
type Outcome struct {
	// Forked is true if something is lost or doubtful. The file then becomes a store of its
	// own when it is next opened, as a backup does. Cursors of the earlier feed are refused,
	// and active operations count as outcome unknown.
	Forked bool
	// Lost is what the file has lost. A lost event is replaced by an event with the
	// reason store.ReasonCorrupt.
	Lost []Loss
	// Doubtful is what the file holds, but may be an older record.
	Doubtful []Loss
	// OutcomeUnknown is the number of active operations without a known send. They count as
	// outcome unknown when the file is next opened.
	OutcomeUnknown int
}

// Repaired is the result of Repair. With DryRun it is what Repair would do.
type Repaired struct {
	Was      Report // the file before the repair; if it has no problems, Repair did nothing
	Is       Report // the repaired file
	Original string // the damaged file's new path; "" if it was not moved
	Outcome  Outcome
}

// Config says how to repair. The zero value works.
type Config struct {
	// Do runs a job, which may crash its process. Defaults to Job.Do in this process.
	Do JobFunc
	// DryRun makes Repair only return what it would do, and leave the file unchanged. Defaults
	// to false.
	DryRun bool
	// LockTimeout and AllowNetworkFS are as in bolt.Config.
	LockTimeout    time.Duration
	AllowNetworkFS bool
}

// Repair repairs the database at path if Check finds damage. It writes a copy next to it,
// from every value with a good checksum on any page, and checks that copy. The copy then
// replaces the file in one step. The damaged file stays next to it under the name in
// Repaired.Original. A crash before that step leaves everything unchanged.
//
// Repair holds the lock meanwhile. It needs as much memory as the file has bytes, and as
// much space on the disk. Without that space the error wraps store.ErrFull. The other errors
// are those of bolt.Open and of Check, and a *CorruptError if the copy is not sound. If a
// job does not finish (ErrInconclusive), Repair changes nothing.
func Repair(ctx context.Context, path string, c Config) (Repaired, error) {
	path, err := disk.RealPath(path, true)
	if err != nil {
		return Repaired{}, err
	}
	if err := disk.CheckFS(path, c.AllowNetworkFS); err != nil {
		return Repaired{}, err
	}
	path, unlock, err := disk.Hold(path, c.LockTimeout, true)
	if err != nil {
		return Repaired{}, err
	}
	defer unlock()
	disk.RemoveLeftovers(path)
	d, err := c.Do.do(ctx, Job{Path: path})
	out := Repaired{Was: d.Report}
	foreign := errors.Is(err, disk.ErrForeign)
	switch {
	case foreign: // its two first pages may be damaged: then its records will show what it is
		out.Was.Problems = []*format.CorruptError{{Path: path, Detail: "both of its first pages are damaged"}}
	case err != nil || len(d.Report.Problems) == 0:
		return out, err
	}
	temp, err := disk.TempName(path)
	if err != nil {
		return out, err
	}
	defer func() { _ = os.Remove(temp) }()
	d, err = c.Do.do(ctx, Job{Path: path, Copy: temp})
	if err == nil && len(d.Report.Problems) > 0 {
		err = d.Report.Problems[0]
	}
	switch {
	case ctx.Err() != nil: // the copy may be sound all the same
		return out, cmp.Or(err, ctx.Err())
	case err != nil && foreign:
		return Repaired{}, err
	case errors.Is(err, format.ErrNewer), errors.Is(err, store.ErrFull), errors.Is(err, ErrInconclusive):
		return out, err
	case err != nil:
		return out, &format.CorruptError{Path: path, Detail: fmt.Sprintf("it cannot be repaired: %v", err)}
	}
	out.Is, out.Outcome = d.Report, d.Outcome
	if !c.DryRun {
		out.Original, err = swap(temp, path)
	}
	return out, err
}

// swap puts temp in the place of path, and returns the new name of the earlier file. At
// every instant path names a whole file.
func swap(temp, path string) (aside string, err error) {
	aside = path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
	if err := os.Link(path, aside); err != nil { // a file system without links
		copied, err := disk.CopyFile(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = os.Remove(copied) }()
		if err := disk.PublishFile(copied, aside); err != nil {
			return "", err
		}
	}
	if err := disk.ReplaceFile(temp, path); err != nil {
		return "", err
	}
	// The new file was written and synced whole, so an earlier failed sync does not concern
	// it.
	if err := os.Remove(path + disk.SuspectSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return aside, fmt.Errorf("bolt: %w", err)
	}
	return aside, nil
}
