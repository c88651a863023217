package hook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
)

// The kinds of small records. A hook has one record by its name, and one for each lane
// whose alert was delivered, by its name, "/" and the lane.
const (
	recordKind = "hook"
	alertKind  = "hook-lane"
)

// record is where a hook stopped. It is stored as JSON: members may be added.
type record struct {
	Cursor engine.Cursor `json:"cursor"` // of the last event that was delivered or passed over
	Seen   time.Time     `json:"seen"`   // when that event was committed, or a later time
	// Skip is set after the feed turned out to be another one: events up to this time
	// are not delivered again. Zero: it is the feed that the hook followed.
	Skip time.Time `json:"skip,omitzero"`

	Failing string    `json:"failing,omitempty"` // the id of the delivery that fails; "": none
	Since   time.Time `json:"since,omitzero"`    // when it failed first
	Dropped int       `json:"dropped,omitempty"` // how many deliveries were dropped
}

// alert is a lane's block that the hook has reported.
type alert struct {
	Since  time.Time         `json:"since"`
	Reason engine.WaitReason `json:"reason"`
}

// save stores the record. It returns no error if the store has no space, or does not
// know whether it stored the record. The hook then goes on, and a later save makes up
// for it. Until then a new Run delivers again what was delivered since.
func (w *worker) save(ctx context.Context) error {
	w.unsaved, w.savedAt = true, time.Now()
	value, err := json.Marshal(w.rec)
	if err == nil {
		err = w.runner.store.PutRecord(ctx, store.Record{Kind: recordKind, Name: w.hook.Name, Value: value})
	}
	if err == nil {
		w.unsaved = false
	}
	return w.forgive(err)
}

// saveAlert stores that the hook has reported a lane's block, or nil for its end.
func (w *worker) saveAlert(ctx context.Context, lane string, a *alert) error {
	r := store.Record{Kind: alertKind, Name: w.hook.Name + "/" + lane}
	if a != nil {
		var err error
		if r.Value, err = json.Marshal(a); err != nil {
			return err
		}
	}
	return w.forgive(w.runner.store.PutRecord(ctx, r))
}

// forgive logs an error of the store with which the hook can go on.
func (w *worker) forgive(err error) error {
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnknown) {
		w.log.Warn("the place of the hook in the feed could not be stored; a restart may deliver again", "error", err)
		return nil
	}
	return err
}
