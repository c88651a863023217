package engine

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
)

// A lane's block is stored, so that Explain can say after the Run why nothing was sent.
// A block is written when it begins, when its reason changes, and when it ends. Trial
// calls write nothing.

const (
	// blockEvery is the least time between two writes of a block, since each call may
	// block or unblock the lane.
	blockEvery = 10 * time.Second
	// errorEvery is the same time if only the text of the error has changed.
	errorEvery = 10 * time.Minute
)

// noteBlock notes why the lane is blocked, and since when. An earlier Run's block for
// the same reason goes on. mu must be held.
func (l *lane) noteBlock(why WaitReason, a decide.Answer, now time.Time) {
	b := store.Block{Reason: string(why), Since: now, Error: a.Text(), Kind: a.Kind, At: now}
	if was := l.stored.Block; was.Reason == b.Reason && was.Since.Before(now) {
		b.Since = was.Since
	}
	l.stored.Block = b
}

// blockUnsaved reports whether the lane's block is to be written now. mu must be held.
func (l *lane) blockUnsaved(mono time.Time) bool {
	b, saved := l.stored.Block, l.savedBlock
	age := mono.Sub(l.savedAt)
	switch {
	case b.Reason == saved.Reason && b.Error == saved.Error:
		return false
	case b.Reason == "" || l.savedAt.IsZero():
		return true
	case b.Reason == saved.Reason && b.Kind == saved.Kind:
		return age >= errorEvery
	}
	return age >= blockEvery
}

// saveBlock stores a lane's block. Its callers take turns, so that the last write is the
// newest.
func (r *run) saveBlock(l *lane) {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	b := l.stored.Block
	same := b == l.savedBlock
	r.mu.Unlock()
	if same {
		return
	}
	if err := r.e.store.SetBlock(context.Background(), l.name, b); err != nil {
		r.trouble(err)
		return
	}
	r.mu.Lock()
	l.savedBlock, l.savedAt = b, time.Now()
	r.mu.Unlock()
}

// saveBlocks stores, at the end of a Run, the blocks that are not stored yet.
func (r *run) saveBlocks() {
	r.mu.Lock()
	var left []*lane
	for _, l := range r.lanes {
		if l.stored.Block.Reason != l.savedBlock.Reason || l.stored.Block.Error != l.savedBlock.Error {
			left = append(left, l)
		}
	}
	r.mu.Unlock()
	for _, l := range left {
		if r.failure() == nil {
			r.saveBlock(l)
		}
	}
}
