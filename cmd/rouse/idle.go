package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
)

// idleness counts the active operations that have nothing to do now.
type idleness struct {
	scheduled, paused, untrustedClock, refused, foreign int

	refusedLane string // the lane of one operation whose credentials are refused

	waiting string // what had something to do when the time was up, and why it waits
}

func (r idleness) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{r.scheduled, "scheduled for later"}, {r.paused, "paused"}, {r.untrustedClock, "past expiry, but the clock is untrusted"},
		{r.refused, "blocked: the credentials are refused"}, {r.foreign, `blocked: foreign store, see "rouse adopt"`},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// idle reports whether no active operation has anything to do now, and counts those that
// wait.
func (h *host) idle(ctx context.Context, s engine.Stats) (idleness, bool, error) {
	var rest idleness
	active := s.Operations[fsm.PhaseQueued] + s.Operations[fsm.PhaseStarting]
	if s.Foreign != nil {
		rest.foreign = active
	}
	if active == 0 || s.Foreign != nil {
		return rest, true, nil
	}
	now := time.Now()
	paused, refused := map[string]bool{}, map[string]bool{}
	for _, l := range s.Lanes {
		paused[l.Name] = l.Paused
		refused[l.Name] = l.Blocked == engine.WaitCredentials && h.refusedFor(l.Since, now) >= credentialPatience
	}
	for op, err := range h.engine.List(ctx, engine.Filter{Active: true}) {
		sent := op.Sent != store.SentNo
		switch {
		case err != nil:
			return rest, false, err
		case sent && refused[op.Lane]:
			rest.refused, rest.refusedLane = rest.refused+1, op.Lane
			continue
		case sent:
			return rest, false, nil
		case op.NotBefore.After(now):
			rest.scheduled++
			continue
		case paused[op.Lane] && op.ExpiresAt.After(now):
			rest.paused++
			continue
		case refused[op.Lane] && op.ExpiresAt.After(now):
			rest.refused, rest.refusedLane = rest.refused+1, op.Lane
			continue
		}
		x, err := h.engine.Explain(ctx, op.ID)
		if err != nil {
			return rest, false, err
		}
		if x.Waiting != engine.WaitUntrustedClock {
			return rest, false, nil
		}
		rest.untrustedClock++
	}
	return rest, true, nil
}

// stillWaiting returns what is active when the time is up. If any of it has something to
// do, the result says what waits, and why.
func (h *host) stillWaiting(ctx context.Context) (idleness, error) {
	s, err := h.engine.Stats(ctx)
	if err != nil {
		return idleness{}, err
	}
	rest, idle, err := h.idle(ctx, s)
	if err != nil || idle {
		return rest, err
	}
	type group struct {
		lane string
		why  string
	}
	var groups []group
	count, newest := map[group]int{}, map[group]engine.Explanation{}
	for op, err := range h.engine.List(ctx, engine.Filter{Active: true}) {
		if err != nil {
			return rest, err
		}
		x, err := h.engine.Explain(ctx, op.ID)
		if err != nil {
			return idleness{}, err
		}
		if x.Operation.Phase.Ended() {
			continue
		}
		g := group{op.Lane, waitText(x, x.Waiting)}
		if count[g]++; count[g] == 1 {
			groups = append(groups, g)
		}
		if saidOf(x) != "" && !x.Operation.LastErrorAt.Before(newest[g].Operation.LastErrorAt) {
			newest[g] = x
		}
	}
	const most = 5
	var parts []string
	for i, g := range groups {
		if i == most {
			parts = append(parts, "and for "+plural(len(groups)-most, "more reason", "more reasons"))
			break
		}
		text := g.why
		if said := saidOf(newest[g]); said != "" {
			text += ": " + said
		}
		parts = append(parts, fmt.Sprintf("%d in lane %s (%s)", count[g], g.lane, text))
	}
	return idleness{waiting: strings.Join(parts, ", ")}, nil
}
