package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// simVerdict is the result of a day.
type simVerdict struct {
	blames  []string
	ends    map[int]string // by ask, if the script decides the end
	all     map[int]string // of all
	reached map[string]int
	ops     int
}

// close compares everything that was promised with the file at the end.
func (j *simOracle) close(s store.Store, bytes string) simVerdict {
	ctx := context.Background()
	j.mu.Lock()
	defer j.mu.Unlock()
	v := simVerdict{ends: map[int]string{}, all: map[int]string{}, reached: j.reached}
	seen := map[store.ID]bool{}
	for op, err := range s.List(ctx, store.Filter{}) {
		if err != nil {
			j.blame("lost", "the list: %v", err)
			break
		}
		seen[op.ID] = true
		v.ops++
		j.closeOp(op, &v)
	}
	for id, o := range j.ops {
		if o.acked && !seen[id] && !o.forgettable() {
			j.blame("lost", "%s was acknowledged, but is not in the file", id)
		}
	}
	j.closeLater(s)
	j.closeFeed(ctx, s)
	if strings.Contains(bytes, simSecret) {
		j.blame("secret", "credentials are in the file")
	}
	v.blames = j.blames
	sort.Strings(v.blames)
	return v
}

// closeOp checks one operation at the end. mu must be held.
func (j *simOracle) closeOp(op store.Operation, v *simVerdict) {
	o := j.op(op.ID)
	if op.Active() && op.Deadline().Add(time.Hour).Before(j.world.now()) {
		j.blame("unended", "%s of %s is %s (sent %v) %v past its deadline: %s", op.ID, op.Ref, op.Phase, op.Sent, j.world.now().Sub(op.Deadline()), op.LastError)
	}
	if op.Phase.Ended() != (o.ends == 1) || o.phase != op.Phase {
		j.blame("end", "%s is %s; the feed says %s, with %d ends", op.ID, op.Phase, o.phase, o.ends)
	}
	effects := j.effects[op.ClientToken]
	j.closeEffects(op, effects)
	if o.ask < 0 {
		return
	}
	end := fmt.Sprintf("%s %s, %d effects", op.Phase, op.EndReason, len(effects))
	v.all[o.ask] = end
	switch {
	case !j.day.asks[o.ask].steadfast:
		return
	case o.odd: // a clock that was set back after the send may make it ambiguous
		j.reached["steadfast, but for the clock"]++
		return
	}
	v.ends[o.ask] = end
	if op.Phase != fsm.PhaseSucceeded || len(effects) != 1 {
		j.blame("steadfast", "%s of %s is %s %q with %d effects, although nothing disturbed it: %s", op.ID, op.Ref, op.Phase, op.EndReason, len(effects), op.LastError)
	}
}

// closeEffects checks promise 2. If the provider has no tokens, or has forgotten this
// one, the promise has two exceptions. They are a request that arrives after its
// time-out, and one that the network copied. That holds too if the first copy was
// refused, and only the second had an effect, before the next request. mu must be held.
func (j *simOracle) closeEffects(op store.Operation, effects []simEffect) {
	if len(effects) < 2 {
		return
	}
	lane := j.p.lane(op.Ref)
	beyond := false
	for i, e := range effects {
		twin := slices.ContainsFunc(effects[:i], func(f simEffect) bool { return f.sent.Equal(e.sent) })
		unheard := e.copy > 1 && i < len(effects)-1 // the engine got the answer to another copy
		beyond = beyond || e.late() || twin || unheard
	}
	if lane.traits.Repeat == transport.RepeatByToken && effects[1].at.Sub(effects[0].at) < lane.traits.TokenMemory {
		beyond = false
	}
	if beyond {
		j.reached["beyond the promise: two effects"]++
		return
	}
	j.blame("twice", "%s started %s %d times (%v): sent %v and %v after the day began, arrived %v and %v", op.ID, op.Ref, len(effects),
		lane.traits.Repeat, effects[0].sent.Sub(j.world.began), effects[1].sent.Sub(j.world.began),
		effects[0].at.Sub(j.world.began), effects[1].at.Sub(j.world.began))
}

// closeFeed reads the feed again and compares it with what the follower saw. mu must be
// held.
func (j *simOracle) closeFeed(ctx context.Context, s store.Store) {
	at := store.Cursor("")
	n := uint64(0)
	for {
		page, err := s.Events(ctx, at, 1000)
		if err != nil {
			j.blame("feed", "reading it again: %v", err)
		}
		for _, ev := range page {
			n, at = ev.Seq, ev.Cursor
			if n > uint64(len(j.feed)) || j.feed[n-1] != ev {
				j.blame("feed", "event %d is %+v, but the follower saw another", n, ev)
				return
			}
		}
		if len(page) == 0 || err != nil {
			break
		}
	}
	if n != uint64(len(j.feed)) {
		j.blame("feed", "it ends at %d, but the follower saw %d", n, len(j.feed))
	}
}
