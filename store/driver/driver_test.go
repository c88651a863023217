package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
	"github.com/rouse-dev/rouse/transport"
)

var now = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func request(id store.ID, session string) store.Operation {
	return store.Operation{
		ID: id, ClientToken: string(id), Ref: transport.Ref{StudioID: "s", SessionID: session}, Lane: "s",
		Phase: fsm.PhaseQueued, CreatedAt: now, NotBefore: now, DueAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

// TestDecide has a case for each row of Decide's table.
func TestDecide(t *testing.T) {
	active, ended, other := request("active", "1"), request("ended", "1"), request("other", "2")
	ended.Phase = fsm.PhaseSucceeded
	mine, plain, expired := request("new", "1"), request("new", "1"), request("new", "1")
	mine.ClientToken = "mine"
	expired.ExpiresAt = now
	for name, c := range map[string]struct {
		want            store.Operation
		byToken, active *store.Operation
		verdict         driver.Verdict
		err             error
		id              store.ID
		old             bool
	}{
		"the token of another session":                         {want: mine, byToken: &other, verdict: driver.VerdictRefuse, err: store.ErrTokenReused},
		"the token of the active operation":                    {want: mine, byToken: &active, active: &active, verdict: driver.VerdictUnchanged, id: "active"},
		"the token of an ended operation":                      {want: mine, byToken: &ended, active: &active, verdict: driver.VerdictUnchanged, id: "ended", old: true},
		"no token, an operation is active":                     {want: plain, active: &active, verdict: driver.VerdictUnchanged, id: "active"},
		"a new token, an operation is active":                  {want: mine, active: &active, verdict: driver.VerdictRefuse, err: store.ErrActive},
		"no operation is active":                               {want: mine, verdict: driver.VerdictCreate, id: "new"},
		"no operation is active, the request has expired":      {want: expired, verdict: driver.VerdictRefuse, err: store.ErrExpired},
		"an operation is active, the request has expired":      {want: expired, active: &active, verdict: driver.VerdictUnchanged, id: "active"},
		"the token's operation ended, the request has expired": {want: expired, byToken: &ended, verdict: driver.VerdictUnchanged, id: "ended", old: true},
	} {
		r, v := driver.Decide(c.want, c.byToken, c.active)
		if v != c.verdict || !errors.Is(r.Err, c.err) || r.ID != c.id || r.Old != c.old || r.Created != (v == driver.VerdictCreate) {
			t.Errorf("%s: %+v, verdict %d", name, r, v)
		}
	}
	later := request("later", "1")
	later.ExpiresAt = now.Add(2 * time.Hour)
	if r, v := driver.Decide(later, nil, &active); v != driver.VerdictJoin || !r.Operation.ExpiresAt.Equal(later.ExpiresAt) || r.Operation.Version != active.Version+1 {
		t.Errorf("a join that changes the expiry: %+v, verdict %d", r, v)
	}
}

// TestFits has cases for each field of a filter.
func TestFits(t *testing.T) {
	o := request("id", "1")
	o.Labels, o.RequestedBy = map[string]string{"show": "x", "dept": ""}, "mo"
	for _, c := range []struct {
		f    store.Filter
		fits bool
	}{
		{store.Filter{}, true},
		{store.Filter{Phases: []fsm.Phase{fsm.PhaseStarting, fsm.PhaseQueued}}, true},
		{store.Filter{Phases: []fsm.Phase{fsm.PhaseStarting}}, false},
		{store.Filter{Labels: map[string]string{"show": "x", "dept": ""}}, true},
		{store.Filter{Labels: map[string]string{"none": ""}}, false},
		{store.Filter{Active: true, StudioID: "s", SessionID: "1", Lane: "s", RequestedBy: "mo", ClientToken: "id", Since: now}, true},
		{store.Filter{StudioID: "t"}, false},
		{store.Filter{SessionID: "2"}, false},
		{store.Filter{Lane: "t"}, false},
		{store.Filter{RequestedBy: "jo"}, false},
		{store.Filter{ClientToken: "other"}, false},
		{store.Filter{Since: now.Add(1)}, false},
	} {
		if got := driver.Fits(&c.f, &o); got != c.fits {
			t.Errorf("%+v: %v, want %v", c.f, got, c.fits)
		}
	}
	o.Phase = fsm.PhaseExpired
	if driver.Fits(&store.Filter{Active: true}, &o) {
		t.Error("an ended operation is active")
	}
}
