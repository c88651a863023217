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

// Loss is something that is lost, or that nobody can vouch for: events, or an
// operation, or what was stored of a lane, or a page of which nobody knows what
// was on it.
type Loss struct {
	First, Last uint64   // of the events; 0: it is none
	Operation   store.ID // "": it is none
	Ref         transport.Ref
	Lane        string
	Page        uint64 // of the damaged file
	Detail      string
}

// String names it and says what became of it.
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

// Vague reports whether it is not known what is lost.
func (l Loss) Vague() bool { return l == Loss{Detail: l.Detail} }

// Mended says what mending a file has changed.
type Outcome struct {
	// Forked: something is lost or doubtful. When the file is next opened it
	// takes an id of its own, as a backup does, so that cursors of the feed as
	// it was are refused, and active operations count as perhaps sent.
	Forked bool
	// Lost is what is gone. The place of an event that is lost is held by one
	// whose reason is store.ReasonCorrupt.
	Lost []Loss
	// Doubtful is what is there, and perhaps not as it last was.
	Doubtful []Loss
	// PerhapsSent is how many active operations of which no send was known
	// count as perhaps sent from now on.
	OutcomeUnknown int
}

// Repaired is what Repair did, or with DryRun would do.
type Repaired struct {
	Was      format.Report // the file as it was found; without problems, nothing was done
	Is       format.Report // the repaired file
	Original string        // where the damaged file is now; "": it is in its place
	Outcome  Outcome
}

// RepairConfig says how to repair. The zero value works.
type Config struct {
	// Do does what may end the process that does it. Defaults to Job.Do, in
	// this one.
	Do JobFunc
	// DryRun leaves everything as it is, and says what would be done.
	DryRun bool
	// LockTimeout and AllowNetworkFS are as in Config.
	LockTimeout    time.Duration
	AllowNetworkFS bool
}

// Repair repairs the database at path if Verify finds something wrong with it. It
// writes a copy next to it, from every value with a good checksum on any page, and
// verifies that copy. The copy then takes the file's place in one step, and the damaged
// file stays next to it under the name in Repaired.Original. A crash before that leaves
// everything as it was.
//
// Repair holds the lock meanwhile. It needs as much memory as the file has bytes, and as
// much space on the disk; without that space the error wraps store.ErrFull. The other
// errors are those of Open and of Verify, and a *CorruptError if the copy is not sound.
// If a job does not finish (ErrInconclusive), Repair changes nothing.
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
	case foreign: // or a file whose two first pages are gone: its records will tell
		out.Was.Problems = []*format.CorruptError{{Path: path, Detail: "its two first pages are gone"}}
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
	case ctx.Err() != nil: // though the copy may be sound
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

// swap puts temp in the place of path, which gets another name. At every instant
// path names a whole file.
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
	// The new file was written and synced whole: what a failed sync left in
	// doubt of the other is not in it.
	if err := os.Remove(path + disk.SuspectSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return aside, fmt.Errorf("bolt: %w", err)
	}
	return aside, nil
}
