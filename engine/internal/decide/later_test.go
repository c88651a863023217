package decide

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// TestLaterRequestByEnd: what each answer means for a later request that arrived before the
// call.
func TestLaterRequestByEnd(t *testing.T) {
	t.Parallel()
	const (
		stays = "stays" // the operation goes on
		over  = "over"  // served, or failed with the operation
		next  = "becomes an operation"
	)
	type answers struct{ start, confirm, poll, late string } // late: a poll past the boot timeout, and past the deadline
	broken := answers{over, over, over, over}
	for _, row := range []struct {
		state fsm.State
		kind  transport.Kind
		want  answers
	}{
		{state: fsm.StateStartInProgress, want: answers{stays, stays, stays, over}},
		{state: fsm.StateReady, want: answers{next, over, over, over}}, // the answer to a send may be older than the request
		{state: fsm.StateStopped, want: answers{stays, next, next, next}},
		{state: fsm.StateStartFailed, want: broken},
		{state: fsm.StateCreateFailed, want: broken},
		{state: fsm.StateStopFailed, want: broken},
		{state: fsm.StateDeleteFailed, want: broken},
		{state: fsm.StateDeleteInProgress, want: broken},
		{state: fsm.StateDeleted, want: broken},
		{state: fsm.StateStopInProgress, want: answers{stays, stays, stays, next}},
		{state: fsm.StateCreateInProgress, want: answers{stays, stays, stays, over}},
		{state: "FROM_THE_FUTURE", want: answers{stays, stays, stays, next}},
		{kind: transport.KindConflict, want: answers{stays, stays, stays, next}},
		{kind: transport.KindThrottled, want: answers{stays, stays, stays, next}},
		{kind: transport.KindInternal, want: answers{stays, stays, stays, next}},
		{kind: transport.KindUnknown, want: answers{stays, stays, stays, next}},
		{kind: transport.KindQuotaExceeded, want: answers{stays, stays, stays, next}},
		{kind: transport.KindCapacity, want: answers{stays, stays, stays, next}},
		{kind: transport.KindAccessDenied, want: answers{over, stays, stays, next}},
		{kind: transport.KindNotFound, want: answers{over, stays, over, over}},
		{kind: transport.KindInvalid, want: answers{over, stays, over, over}},
		{kind: transport.KindCredentials, want: answers{stays, stays, stays, next}},
		{kind: transport.KindUnreachable, want: answers{stays, stays, stays, next}},
	} {
		name := string(row.state)
		if name == "" {
			name = row.kind.Error()
		}
		lateAnswer := func() *decision { // a day past all of its times
			d := pollAnswer()
			d.Answer.At = d.op.BootDeadline.Add(25 * time.Hour)
			d.Answer.Began = d.Answer.At
			return d
		}
		for _, c := range []struct {
			call string
			make func() *decision
			want string
		}{{"start", startAnswer, row.want.start}, {"confirm", confirmAnswer, row.want.confirm}, {"poll", pollAnswer, row.want.poll}, {"late", lateAnswer, row.want.late}} {
			t.Run(name+"/"+c.call, func(t *testing.T) {
				t.Parallel()
				d := c.make()
				d.Traits.Repeat = transport.RepeatNever // so that a confirm decides
				d.op.Later = &store.LaterRequest{ID: "later", At: epoch.Add(time.Millisecond), RequestedBy: "jo", ExpiresAt: d.Answer.At.Add(time.Hour)}
				d.op.ExpiresAt = d.op.Later.ExpiresAt
				if d.Answer.Call == CallStart {
					d.ReadVersion = d.op.Version + 1 // the later request came while the send was under way
				}
				if row.state != "" {
					d.state(row.state)
				} else {
					d.kind(row.kind)
				}
				for range 3 { // so that a state that may be stale is read again
					if d.decide(); d.op.Phase.Ended() {
						break
					}
					d.Sighting = d.seen
				}
				got := stays
				switch {
				case d.op.Phase.Ended() && d.next != nil:
					got = next
				case !d.op.Later.Pending():
					got = over
				}
				if got != c.want || d.op.Phase.Ended() != (c.want != stays) {
					t.Fatalf("%s %q: the later request %s, want that it %s", d.op.Phase, d.op.EndReason, got, c.want)
				}
				if n := d.next; n != nil && (n.ID != "later" || n.Ref != d.op.Ref || n.RequestedBy != "jo" || n.Phase != fsm.PhaseQueued || n.DueAt.After(d.Answer.At)) {
					t.Errorf("it becomes %+v", n)
				}
			})
		}
	}
}

// TestReadyAndLaterRequest: which READY is certainly later than the later request.
func TestReadyAndLaterRequest(t *testing.T) {
	t.Parallel()
	const stale = 30 * time.Second
	for _, c := range []struct {
		name   string
		asked  time.Duration // so long before the call
		set    func(d *decision)
		served bool
	}{
		{"long before the call", stale, nil, true},
		{"within what reads may show", stale - 1, nil, false},
		{"and the provider dates the state later", stale - 1, func(d *decision) {
			d.Provider = ProviderClock{Known: true, Uncertainty: time.Second}
			d.Answer.Session.UpdatedAt = d.Answer.At.Add(-25 * time.Second)
		}, true},
		{"and the provider dates the state before", stale - 1, func(d *decision) {
			d.Provider = ProviderClock{Known: true, Uncertainty: time.Second}
			d.Answer.Session.UpdatedAt = d.Answer.At.Add(-stale)
		}, false},
		{"joined while the call was under way", stale, func(d *decision) { d.ReadVersion-- }, false},
		{"the host's clock went ahead since", stale, func(d *decision) { d.Asleep = time.Second }, false},
		{"by an earlier run's clock", time.Hour, func(d *decision) { d.Began = d.Answer.Began.Add(-time.Second) }, false},
		{"by an earlier run's clock, and this run is long enough", time.Hour, func(d *decision) { d.Began = d.Answer.Began.Add(-stale) }, true},
		{"the clock was set back since", -time.Hour, nil, false},
		{"for later", stale, func(d *decision) { d.op.Later.NotBefore = d.Answer.At.Add(1) }, false},
		{"for now", stale, func(d *decision) { d.op.Later.NotBefore = d.Answer.At }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := pollAnswer()
			d.op.Version, d.ReadVersion = 3, 3
			d.op.Later = &store.LaterRequest{ID: "later", At: d.Answer.Began.Add(-c.asked), ExpiresAt: d.Answer.At.Add(time.Hour)}
			d.state(fsm.StateReady)
			if c.set != nil {
				c.set(d)
			}
			d.decide()
			if d.op.Phase != fsm.PhaseSucceeded || d.op.Later.Pending() || (d.next == nil) != c.served {
				t.Errorf("%s, later request %+v, next %+v; want served: %v", d.op.Phase, d.op.Later, d.next, c.served)
			}
		})
	}
}
