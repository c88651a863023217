package engine

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/store"
)

// A lane's block is stored so that Explain can say after the Run why nothing went
// out. A block is written when it begins, when its reason changes, and when it
// ends; never for each trial call.

const (
	blockEvery = 10 * time.Second // the least time between two writes of a block: a lane may be blocked and unblocked with each call
	errorEvery = 10 * time.Minute // the same, if only the text of the error has changed
)

// noteBlock takes over why the lane is blocked, and since when: an earlier Run's
// block for the same reason goes on. mu must be held.
func (l *lane) noteBlock(why WaitReason, a decide.Answer, now time.Time) {
	b := store.Block{Reason: string(why), Since: now, Error: a.Text(), Kind: a.Kind, At: now}
	if was := l.stored.Block; was.Reason == b.Reason && was.Since.Before(now) {
		b.Since = was.Since
	}
	l.stored.Block = b
}

// blockUnsaved reports whether the lane's block is to be written now. mu must be held.
func (l *lane) blockUnsaved(mono time.Time) bool {
	b, kept := l.stored.Block, l.savedBlock
	age := mono.Sub(l.savedAt)
	switch {
	case b.Reason == kept.Reason && b.Error == kept.Error:
		return false
	case b.Reason == "" || l.savedAt.IsZero():
		return true
	case b.Reason == kept.Reason && b.Kind == kept.Kind:
		return age >= errorEvery
	}
	return age >= blockEvery
}

// saveBlock writes a lane's block as it is now. Its callers take turns, so that the
// last write is the newest.
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

// saveBlocks writes, at the end of a Run, the blocks that were not written yet.
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
