package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// Method is a way to mend a file.
type Method string

// The ways that Repair tries, in this order.
const (
	// Rebuild takes all records that the newest tree of pages leads to, and
	// gives them pages, a list of free pages and rows that lead to them anew. It
	// loses what has a wrong checksum, and where nothing has, nothing.
	Rebuild Method = "rebuild"
	// StepBack does the same with the tree that stood before the last commit,
	// and loses that.
	StepBack Method = "step back"
	// Salvage takes every value with a good checksum from all pages, whatever
	// leads to them.
	Salvage Method = "salvage"
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
type Mended struct {
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
	PerhapsSent int
}

// Repaired is what Repair did.
type Repaired struct {
	Was      format.Report // the file as it was found
	Method   Method        // that mended it; "": nothing was wrong, and nothing was done
	Is       format.Report // the file as it is now, or would be
	Original string        // where the damaged file is now; "": it is in its place
	Mended   Mended
	Failed   []string // what became of the methods before
}

// RepairConfig says how to repair. The zero value works.
type RepairConfig struct {
	// Do does what may end the process that does it. Defaults to Job.Do, in
	// this one.
	Do JobFunc
	// DryRun leaves everything as it is, and says what would be done.
	DryRun bool
	// LockTimeout and AllowNetworkFS are as in Config.
	LockTimeout    time.Duration
	AllowNetworkFS bool
}

// Repair mends the database at path, if Verify finds something wrong with it. It
// works on copies beside it: each Method in turn makes one, until one that
// passes Verify has lost nothing; else the one that lost least takes the file's
// place, in one step. A crash before leaves everything as it was. The damaged file stays beside it, under the name that
// Repaired.Original tells.
//
// It holds the lock meanwhile. It needs as much memory as the file has bytes, and
// as much room on the disk, or twice where a method has to be followed by another:
// store.ErrFull says that there is none. The errors are those of Open and of
// Verify, and a *CorruptError if no method gives a sound file. If a job does not
// finish (ErrInconclusive) Repair changes nothing, and tries no other method: the
// next one may lose more.
func Repair(ctx context.Context, path string, c RepairConfig) (Repaired, error) {
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
	if errors.Is(err, disk.ErrForeign) {
		// Or one of whose beginning nothing is left: its records will tell.
		out.Was.Problems = []*format.CorruptError{{Path: path, Detail: "its two first pages are gone"}}
	} else if err != nil || len(d.Report.Problems) == 0 {
		return out, err
	}
	best := attempt{}
	defer func() { _ = os.Remove(best.copy) }()
	for _, how := range []Method{Rebuild, StepBack, Salvage} {
		a, err := attemptAt(ctx, path, how, c.Do)
		switch {
		case ctx.Err() != nil: // though this copy may be sound
			_ = os.Remove(a.copy)
			return out, cmp.Or(err, ctx.Err())
		case errors.Is(err, format.ErrNewer), errors.Is(err, disk.ErrNotOwner), errors.Is(err, store.ErrFull), errors.Is(err, ErrInconclusive):
			// With room or time this method may repair the file; the next may lose more.
			return out, err
		case err != nil:
			out.Failed = append(out.Failed, fmt.Sprintf("%s: %v", how, err))
			continue
		case best.copy != "" && a.lost() >= best.lost():
			_ = os.Remove(a.copy)
		default:
			_ = os.Remove(best.copy)
			best = a
		}
		if best.lost() == 0 {
			break
		}
	}
	switch {
	case best.copy == "" && err != nil: // not ours
		return Repaired{}, err
	case best.copy == "":
		return out, &format.CorruptError{Path: path, Detail: "it cannot be mended: " + strings.Join(out.Failed, "; ")}
	}
	out.Method, out.Is, out.Mended = best.method, best.done.Report, best.done.Mended
	if !c.DryRun {
		out.Original, err = swap(best.copy, path)
	} else {
		err = nil
	}
	return out, err
}

// attempt is a sound copy that a method made.
type attempt struct {
	method Method
	copy   string // its name; "": there is none
	done   Done
}

// attemptAt has one method make a copy. The error is why it is not sound.
func attemptAt(ctx context.Context, path string, how Method, do JobFunc) (attempt, error) {
	temp, err := disk.TempName(path)
	if err != nil {
		return attempt{}, err
	}
	d, err := do.do(ctx, Job{Path: path, Method: how, Copy: temp})
	if err == nil && len(d.Report.Problems) > 0 {
		err = d.Report.Problems[0]
	}
	if err != nil {
		_ = os.Remove(temp)
		return attempt{}, err
	}
	return attempt{method: how, copy: temp, done: d}, nil
}

// fewOnAPage is how many records count as lost where nobody knows how many are.
const fewOnAPage = 10

// lost is about how much is. An operation weighs as much as many events: somebody
// was told that it is stored.
func (a attempt) lost() (n uint64) {
	for _, l := range a.done.Mended.Lost {
		switch n++; {
		case l.Vague() && a.method == StepBack: // it was small
		case l.First != 0:
			n += l.Last - l.First
		case l.Operation != "":
			n += 2 * fewOnAPage
		case l.Page != 0, l.Vague():
			n += fewOnAPage
		}
	}
	return n
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
