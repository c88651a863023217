package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/internal/uptime"
	"github.com/rouse-dev/rouse/store"
)

// clockRecord is what the store keeps of the wall clock between Runs. With it a Run does
// not repeat the wait for a trusted clock.
type clockRecord struct {
	Wall    time.Time     `json:"wall"` // when this was written
	Boot    uint32        `json:"boot,omitempty"`
	Elapsed time.Duration `json:"elapsed,omitempty"` // since the machine booted, with the time asleep
	// Behaved is how long the wall clock had behaved by then. decide.TrustAfter means that
	// the clock was trusted.
	Behaved time.Duration `json:"served"`
	// Watched is how long Runs had followed one another closely, with no lane blocked.
	Watched time.Duration `json:"watched,omitempty"`
}

// clockRecordKind is the kind of the store's record. The record's name is empty.
const clockRecordKind = "clock"

const (
	// closeRuns is how far apart two runs may be and still count as one for the boot
	// timeout.
	closeRuns = 10 * time.Minute
	// longestGap is the longest time between two runs that does not interrupt the wait
	// for a trusted clock. It applies where no clock proves how long the time was.
	longestGap = time.Hour
)

// since returns how much time has certainly passed since v was written, and reports
// whether the wall clock has behaved meanwhile.
func (v *clockRecord) since(wall time.Time, up uptime.Reading) (passed time.Duration, behaved bool) {
	shown := wall.Sub(v.Wall)
	passed, sure := decide.Elapsed(up).Since(store.Uptime{Boot: v.Boot, At: v.Elapsed})
	switch {
	case sure:
		wrong := shown - passed
		return passed, wrong <= decide.BigJump && wrong >= -decide.BigJump
	case shown <= decide.BigJump && shown >= -decide.BigJump: // within a Run, such a jump would not end the trust
		return max(shown, 0), true
	case v.Boot == 0 && !up.Known(): // it may be another boot, with a wrong clock
		return 0, shown > 0 && shown <= longestGap && v.Behaved < decide.TrustAfter
	}
	return 0, false
}

// loadClockRecord reads the record of earlier Runs.
func (r *run) loadClockRecord(ctx context.Context) error {
	records, err := r.e.store.Records(ctx, clockRecordKind)
	if err != nil {
		return err
	}
	var v clockRecord
	if len(records) == 0 || json.Unmarshal(records[0].Value, &v) != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	passed, behaved := v.since(r.watch.wall, r.watch.up)
	if !behaved {
		return nil
	}
	r.watch.behaved(v.Behaved + passed)
	if passed <= closeRuns {
		r.watched = v.Watched + passed
	}
	r.savedClock.behaved = v.Boot != 0 && v.Boot == r.watch.up.Boot
	r.savedClock.trusted = v.Behaved >= decide.TrustAfter
	return nil
}

// savedClock says what the stored record proves. A Run writes the record in three cases.
// The record does not say how the clock behaves, a provider's date confirms the clock, or
// a busy Run ends. The mutex run.mu guards savedClock.
type savedClock struct {
	behaved bool      // since when the clock has behaved, in this boot
	trusted bool      // that it is trusted
	at      time.Time // when this Run stored it last, on the monotonic clock
}

// clockRecordDue reports whether the record is to be stored now. mu must be held.
func (r *run) clockRecordDue(mono time.Time) bool {
	if r.savedClock.behaved && (r.savedClock.trusted || !r.confirmed) || len(r.lanes) == 0 {
		return false
	}
	if !r.savedClock.at.IsZero() && mono.Sub(r.savedClock.at) < sweepEvery {
		return false
	}
	r.savedClock = savedClock{behaved: true, trusted: r.confirmed, at: mono}
	return true
}

// clockRecordNow returns the record to be stored. mu must be held.
func (r *run) clockRecordNow() clockRecord {
	r.noticeJump()
	mono := time.Now()
	v := clockRecord{
		Wall: r.watch.wall, Boot: r.watch.up.Boot, Elapsed: r.watch.up.Elapsed,
		Behaved: r.watch.behavedFor(mono), Watched: r.watched + mono.Sub(r.mono),
	}
	for _, l := range r.lanes {
		if l.block != nil || len(l.outages) > 0 {
			v.Watched = 0
		}
	}
	return v
}

// saveClockRecord stores the record. If that fails, the next Run waits for a trusted
// clock again.
func (r *run) saveClockRecord() {
	r.mu.Lock()
	v := r.clockRecordNow()
	r.mu.Unlock()
	value, err := json.Marshal(v)
	if err == nil {
		err = r.e.store.PutRecord(context.WithoutCancel(r.calls), store.Record{Kind: clockRecordKind, Value: value})
	}
	if err != nil {
		r.e.log.Warn("the clock record could not be stored; the next run waits for a trusted clock again", "error", err)
	}
}
