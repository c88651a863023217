package ec2_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
)

// starting answers StartInstances. All instances of a call are pending.
func starting(ids []string) (int, string) {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, `<item><instanceId>%s</instanceId><currentState><code>0</code><name>pending</name></currentState>`+
			`<previousState><code>80</code><name>stopped</name></previousState></item>`, id)
	}
	return http.StatusOK, "<StartInstancesResponse><instancesSet>" + b.String() + "</instancesSet></StartInstancesResponse>"
}

func starts(s *script) (all [][]string) {
	for _, form := range s.requests() {
		if form.Get("Action") == "StartInstances" {
			all = append(all, listOf(form, "InstanceId"))
		}
	}
	return all
}

func inputs(ids ...string) []transport.StartInput {
	ins := make([]transport.StartInput, len(ids))
	for i, id := range ids {
		ins[i] = start(id)
	}
	return ins
}

// TestPoolsApart checks that instances of different zones or types are started by
// different calls. A pool without capacity then does not keep others from starting.
// Terminated or unknown instances share no call with instances that could start.
func TestPoolsApart(t *testing.T) {
	t.Parallel()
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%017x", i)
	}
	in := func(id, zone, kind, state string) string {
		one := strings.ReplaceAll(item(id, state, ""), "us-west-2a", zone)
		return strings.ReplaceAll(one, "g5.xlarge", kind)
	}
	s := newScript(t, func(form url.Values) (int, string) {
		asked := listOf(form, "InstanceId")
		switch {
		case form.Get("Action") == "DescribeInstances" && len(asked) > 0: // ids[5] does not exist
			return 400, failing("InvalidInstanceID.NotFound", "The instance ID '"+ids[5]+"' does not exist")
		case form.Get("Action") == "DescribeInstances":
			return described(in(ids[0], "a", "g5", "stopped"), in(ids[1], "a", "g5", "stopped"), in(ids[2], "b", "g5", "stopped"),
				in(ids[3], "a", "c7", "stopped"), in(ids[4], "a", "g5", "terminated"))
		case slices.Contains(asked, ids[2]):
			return 500, failing("InsufficientInstanceCapacity", "no g5 in b")
		case slices.Contains(asked, ids[4]):
			return 400, failing("IncorrectInstanceState", "The instance '"+ids[4]+"' is not in a state from which it can be started.")
		case slices.Contains(asked, ids[5]):
			return 400, failing("InvalidInstanceID.NotFound", "The instance ID '"+ids[5]+"' does not exist")
		}
		return starting(asked)
	})
	tr := s.open(ec2.Config{})
	results, err := tr.BatchStart(t.Context(), inputs(append(ids, ids[0])...))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, nil, transport.KindCapacity, nil, transport.KindConflict, transport.KindNotFound, nil} {
		if r := results[i]; !errors.Is(r.Err, want) || want == nil && (r.Err != nil || r.Session.State != fsm.StateStartInProgress || r.Session.Ref != ref(append(ids, ids[0])[i])) {
			t.Errorf("result %d: %v %v, want %v", i, r.Session.State, r.Err, want)
		}
	}
	calls := starts(s)
	for _, want := range [][]string{ids[:2], {ids[2]}, {ids[3]}, {ids[4], ids[5]}, {ids[5]}} {
		if !slices.ContainsFunc(calls, func(call []string) bool { return slices.Equal(call, want) }) {
			t.Errorf("no call of %v in %v", want, calls)
		}
	}
	if len(calls) != 5 {
		t.Errorf("%d calls: %v", len(calls), calls)
	}
	before := len(s.requests())
	if _, err := tr.BatchStart(t.Context(), inputs(ids[:4]...)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.requests()) - before; n != 3 {
		t.Errorf("instances whose pools are known took %d calls, want 3", n)
	}
}

// TestOneOfFiveHundred checks that EC2 may refuse one instance without naming it.
func TestOneOfFiveHundred(t *testing.T) {
	t.Parallel()
	ids := make([]string, 500)
	items := make([]string, len(ids))
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%017x", i)
		items[i] = item(ids[i], "stopped", "")
	}
	bad := ids[123]
	s := newScript(t, func(form url.Values) (int, string) {
		asked := listOf(form, "InstanceId")
		switch {
		case form.Get("Action") == "DescribeInstances":
			return described(items...)
		case slices.Contains(asked, bad):
			return 400, failing("IncorrectInstanceState", "You can't start an instance that hibernates.")
		}
		return starting(asked)
	})
	results, err := s.open(ec2.Config{}).BatchStart(t.Context(), inputs(ids...))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if ids[i] == bad != errors.Is(r.Err, transport.KindConflict) || ids[i] != bad && r.Session.State != fsm.StateStartInProgress {
			t.Errorf("%s: %v %v", ids[i], r.Session.State, r.Err)
		}
	}
	if n := len(starts(s)); n > 11 {
		t.Errorf("%d calls, want at most ten more than one", n)
	}
}

// TestBlindStart checks that instances are started even without the permission to
// describe them.
func TestBlindStart(t *testing.T) {
	t.Parallel()
	ids := []string{"i-0000000000000000a", "i-0000000000000000b"}
	s := newScript(t, func(form url.Values) (int, string) {
		if form.Get("Action") == "DescribeInstances" {
			return 403, failing("UnauthorizedOperation", "You are not authorized to perform this operation.")
		}
		return starting(listOf(form, "InstanceId"))
	})
	results, err := s.open(ec2.Config{}).BatchStart(t.Context(), inputs(ids...))
	if err != nil || results[0].Err != nil || results[1].Err != nil || len(starts(s)) != 1 {
		t.Errorf("%+v, %v, by %v", results, err, starts(s))
	}
}

// TestLeftOut checks that an instance that is missing in the answer may have been
// started.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(form url.Values) (int, string) {
		if form.Get("Action") == "DescribeInstances" {
			return described()
		}
		return starting(listOf(form, "InstanceId")[:1])
	})
	ids := []string{"i-0000000000000000a", "i-0000000000000000b"}
	results, err := s.open(ec2.Config{}).BatchStart(t.Context(), inputs(ids...))
	if err != nil || results[0].Err != nil {
		t.Fatalf("%+v, %v", results, err)
	}
	var e *transport.Error
	if !errors.As(results[1].Err, &e) || e.Kind != transport.KindUnknown || e.NotSent {
		t.Errorf("%+v, want an unknown outcome", results[1].Err)
	}
}
