package ec2_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
)

// others has fallback types that are tried after the first refusal.
var others = ec2.Config{InstanceTypes: []string{second, third}, InstanceTypesAfter: 1}

// TestFallback checks that the next type is tried after so many refusals. The change is
// recorded before and after it is made.
func TestFallback(t *testing.T) {
	t.Parallel()
	m := newMarket(t, own, second)
	id := m.stopped(1, nil)[0]
	tr := m.open(ec2.Config{InstanceTypes: []string{second, own, third}, InstanceTypesAfter: 2})
	for n, want := range []string{"no t3.micro now (", "no t3.small now; tried as t3.micro, t3.small; its type is now t3.small (", ""} {
		got, err := tr.Start(t.Context(), start(id))
		if err == nil && got.State != fsm.StateStartInProgress && got.State != fsm.StateReady {
			t.Errorf("start %d: %+v", n, got)
		}
		if want == "" && err != nil || want != "" && (!errors.Is(err, transport.KindCapacity) || !strings.Contains(err.Error(), want)) {
			t.Errorf("start %d: %v, want %q", n, err, want)
		}
	}
	m.want(id, third, 1)
	want := []string{
		"StartInstances", "StartInstances",
		"CreateTags changing t3.micro to t3.small", "ModifyInstanceAttribute t3.small", "CreateTags changed t3.micro to t3.small",
		"StartInstances", "StartInstances",
		"CreateTags changing t3.micro to t3.medium", "ModifyInstanceAttribute t3.medium", "CreateTags changed t3.micro to t3.medium",
		"StartInstances",
	}
	if got := m.trades(); !slices.Equal(got, want) {
		t.Errorf("it did %q\nwant %q", got, want)
	}
}

// TestFallbackExhausted checks that one call tries all types, if one refusal is enough
// for each. If none has capacity it leaves the instance as it was, and the next call
// begins again.
func TestFallbackExhausted(t *testing.T) {
	t.Parallel()
	m := newMarket(t, own, second, third)
	id := m.stopped(1, nil)[0]
	tr := m.open(others)
	for range 2 {
		_, err := tr.Start(t.Context(), start(id))
		if !errors.Is(err, transport.KindCapacity) || !strings.Contains(err.Error(), "tried as t3.micro, t3.small, t3.medium; its type is now t3.micro") {
			t.Errorf("%v", err)
		}
		m.want(id, own, 0)
	}
	m.sellOut(own, second)
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Error(err)
	}
	m.want(id, third, 1)
}

// TestFallbackCounts checks that refusals are counted per operation and per type.
func TestFallbackCounts(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market(own)
	id := m.stopped(1, nil)[0]
	tr := m.open(ec2.Config{InstanceTypes: []string{second}}) // three refusals change the type
	for n, token := range []string{"a", "a", "b", "b"} {
		if _, err := tr.Start(t.Context(), transport.StartInput{Ref: ref(id), ClientToken: token}); !errors.Is(err, transport.KindCapacity) {
			t.Errorf("start %d: %v", n, err)
		}
	}
	m.want(id, own, 0)
	if _, err := tr.Start(t.Context(), transport.StartInput{Ref: ref(id), ClientToken: "b"}); err != nil {
		t.Error(err)
	}
	m.want(id, second, 1)
}

// TestFallbackRefused checks that a type that the instance cannot have is skipped. If
// nothing can be changed, EC2's answer is returned with the reason.
func TestFallbackRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		unfit map[string]string
		kind  string // the type in the end
		text  string // a part of the error, or ""
	}{
		"a type it cannot have":          {map[string]string{second: "InvalidParameterCombination"}, third, ""},
		"a type that EC2 does not start": {map[string]string{"start " + second: "Unsupported"}, third, ""},
		"a type beyond the quota":        {map[string]string{"start " + second: "VcpuLimitExceeded"}, third, ""},
		"a type not allowed":             {map[string]string{"start " + second: "UnauthorizedOperation"}, third, ""},
		"no type that it can have":       {map[string]string{second: "InvalidParameterCombination", third: "Unsupported"}, own, "its type was not changed: invalid: Unsupported: not t3.medium"},
		"no permission to change":        {map[string]string{"ModifyInstanceAttribute": "UnauthorizedOperation"}, own, "its type was not changed: access denied: UnauthorizedOperation"},
		"no permission to record":        {map[string]string{"CreateTags": "UnauthorizedOperation"}, own, "its type was not changed: access denied: UnauthorizedOperation"},
		"throttled before the record":    {map[string]string{"CreateTags": "RequestLimitExceeded"}, own, "its type was not changed: throttled: RequestLimitExceeded"},
		"another writes the record":      {map[string]string{"CreateTags": "ConcurrentTagAccess"}, own, "its type was not changed: throttled: ConcurrentTagAccess"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newProxy(t, newRAM(t)).market(own)
			m.unfit = test.unfit
			id := m.stopped(1, nil)[0]
			tr := m.open(others)
			_, err := tr.Start(t.Context(), start(id))
			if test.text == "" {
				if err != nil {
					t.Error(err)
				}
				m.want(id, test.kind, 1)
				return
			}
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != transport.KindCapacity || e.Code != "InsufficientInstanceCapacity" || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("%v, want no capacity, and %q", err, test.text)
			}
			if denied := strings.Contains(test.text, "access denied"); denied && e.Context[ec2.EncodedMessage] != "blob" {
				t.Errorf("the encoded message is not kept: %v", e.Context)
			}
			m.want(id, test.kind, 0)
			before := strings.Count(fmt.Sprint(m.trades()), "CreateTags chang")
			if _, err = tr.Start(t.Context(), start(id)); !errors.Is(err, transport.KindCapacity) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("again: %v", err)
			}
			if now := strings.Count(fmt.Sprint(m.trades()), "CreateTags chang"); now != before && !strings.Contains(test.text, "throttled") {
				t.Errorf("the operation changes types again: %q", m.trades())
			}
		})
	}
}

// TestFallbackBatch checks that only the instances of a batch that lack capacity get
// another type. One call starts those that then have the same type.
func TestFallbackBatch(t *testing.T) {
	t.Parallel()
	m := newMarket(t, own)
	lack, fine := m.stopped(6, nil), m.stopped(3, nil)
	for _, id := range fine {
		m.become(id, "t3.large")
	}
	ids := append(slices.Clone(lack), fine...)
	results, err := m.open(others).BatchStart(t.Context(), inputs(append(ids, one)...))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results[:len(ids)] {
		if r.Err != nil || r.Session.Ref != ref(ids[i]) {
			t.Errorf("%s: %+v", ids[i], r)
		}
	}
	if !errors.Is(results[len(ids)].Err, transport.KindNotFound) {
		t.Errorf("one that does not exist: %v", results[len(ids)].Err)
	}
	for _, id := range lack {
		m.want(id, second, 1)
	}
	starts := 0
	for _, call := range m.trades() {
		if call == "StartInstances" {
			starts++
		}
	}
	// Two starts are one for each type. One start is for three of the six instances, and
	// one for a single instance; these do not fit. One is for the unknown id, and one for
	// the instances with the new type.
	if starts != 6 {
		t.Errorf("%d starts: %q", starts, m.trades())
	}
	for _, id := range fine {
		if in := m.instance(id); in.InstanceType != "t3.large" || recordIn(in) != "" || m.effects(id) != 1 {
			t.Errorf("%s had capacity: %s %q, started %d times", id, in.InstanceType, recordIn(in), m.effects(id))
		}
	}
}

// TestFallbackThrottled checks that EC2 may throttle changes. Those that it throttles are
// made later.
func TestFallbackThrottled(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market(own)
	ids := m.stopped(20, nil)
	m.fault = func(r request) *fault {
		if r.action == "ModifyInstanceAttribute" {
			return &fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}
		}
		return nil
	}
	tr := m.open(others)
	results, err := tr.BatchStart(t.Context(), inputs(ids...))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if !errors.Is(r.Err, transport.KindCapacity) {
			t.Errorf("%s: %v", ids[i], r.Err)
		}
	}
	tags := 0
	for _, call := range m.trades() {
		if strings.HasPrefix(call, "CreateTags") {
			tags++
		}
	}
	if tags > 8 {
		t.Errorf("%d changes were begun though the first were throttled", tags)
	}
	m.fault = nil
	if results, err = tr.BatchStart(t.Context(), inputs(ids...)); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", ids[i], r.Err)
		}
		m.want(ids[i], second, 1)
	}
}

// TestFallbackPutOff checks that a refusal of a fallback type does not refuse the session
// while the next type may have capacity.
func TestFallbackPutOff(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market(own)
	m.unfit = map[string]string{"start " + second: "Unsupported"}
	id := m.stopped(1, nil)[0]
	var starts atomic.Int32
	m.fault = func(r request) *fault {
		if r.action == "StartInstances" {
			starts.Add(1)
		}
		if r.action == "CreateTags" && starts.Load() > 1 { // the instance has the second type
			return &fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}
		}
		return nil
	}
	tr := m.open(others)
	for range 3 {
		if _, err := tr.Start(t.Context(), start(id)); !errors.Is(err, transport.KindCapacity) {
			t.Errorf("%v, want no capacity", err)
		}
	}
	m.want(id, second, 0)
	m.fault = nil
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Error(err)
	}
	m.want(id, third, 1)
}

// TestFallbackUnknown checks that no type is changed after a start with unknown outcome,
// nor after a refusal for another reason than capacity.
func TestFallbackUnknown(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"cut before":   {drop: true},
		"cut after":    {lose: true},
		"5xx after":    {after: true, status: 500, code: "InternalError", message: "after the effect"},
		"unavailable":  {status: 503, code: "Unavailable", message: "perhaps"},
		"throttled":    {status: 503, code: "RequestLimitExceeded", message: "slow down"},
		"a quota":      {status: 400, code: "VcpuLimitExceeded", message: "too many"},
		"denied":       {status: 403, code: "UnauthorizedOperation", message: "no"},
		"a portal":     {status: 200, code: "x", message: "</Code></Error></Errors></Response><html>"},
		"not a member": {status: 400, code: "InvalidInstanceID.NotFound", message: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newProxy(t, newRAM(t)).market()
			id := m.stopped(1, nil)[0]
			m.fault = func(r request) *fault {
				if r.action == "StartInstances" {
					return &f
				}
				return nil
			}
			if _, err := m.open(others).Start(t.Context(), start(id)); err == nil || errors.Is(err, transport.KindCapacity) {
				t.Errorf("%v", err)
			}
			for _, call := range m.trades() {
				if call != "StartInstances" {
					t.Errorf("the transport called %q after the start", call)
				}
			}
		})
	}
}

// TestPutTypeBack checks that an instance gets its own type back, by Stop or before the
// next start. That happens after it has run as another type and has stopped, and not
// earlier.
func TestPutTypeBack(t *testing.T) {
	t.Parallel()
	cfg := others
	cfg.PutTypeBack = true
	for name, test := range map[string]struct {
		cfg  ec2.Config
		stop func(*testing.T, *market, *ec2.Transport, string)
		kind string // the type after the stop
		next string // the type after the next start
	}{
		"by Stop": {cfg, func(t *testing.T, _ *market, tr *ec2.Transport, id string) {
			if _, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)}); err != nil {
				t.Error(err)
			}
		}, own, own},
		"by another program":  {cfg, func(_ *testing.T, m *market, _ *ec2.Transport, id string) { m.stop(id) }, second, own},
		"without PutTypeBack": {others, func(_ *testing.T, m *market, _ *ec2.Transport, id string) { m.stop(id) }, second, second},
		"by Stop, without PutTypeBack": {others, func(t *testing.T, _ *market, tr *ec2.Transport, id string) {
			if _, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)}); err != nil {
				t.Error(err)
			}
		}, second, second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMarket(t, own)
			id := m.stopped(1, nil)[0]
			tr := m.open(test.cfg)
			if _, err := tr.Start(t.Context(), start(id)); err != nil {
				t.Fatal(err)
			}
			m.sellOut()
			if _, err := tr.Start(t.Context(), start(id)); err != nil { // it runs
				t.Fatal(err)
			}
			m.want(id, second, 1)
			test.stop(t, m, tr, id)
			m.want(id, test.kind, 1)
			if _, err := tr.Start(t.Context(), transport.StartInput{Ref: ref(id), ClientToken: "another"}); err != nil {
				t.Fatal(err)
			}
			m.want(id, test.next, 2)
			m.stop(id)
			if _, err := tr.Start(t.Context(), transport.StartInput{Ref: ref(id), ClientToken: "third"}); err != nil {
				t.Fatal(err)
			}
			m.want(id, test.next, 3)
			if tag := recordIn(m.instance(id)); test.next == own && tag != "" {
				t.Errorf("it has run with its own type, and has the record %q", tag)
			}
		})
	}
}

// TestPutTypeBackFails checks that a Stop that cannot restore the type says so, and that
// the next Stop restores it.
func TestPutTypeBackFails(t *testing.T) {
	t.Parallel()
	cfg := others
	cfg.PutTypeBack = true
	m := newMarket(t, own)
	id := m.stopped(1, nil)[0]
	tr := m.open(cfg)
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Fatal(err)
	}
	m.fault = func(r request) *fault {
		if r.action == "ModifyInstanceAttribute" {
			return &fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}
		}
		return nil
	}
	_, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)})
	if !errors.Is(err, transport.KindThrottled) || !strings.Contains(err.Error(), "the stop was accepted, but the instance may not have its own type back yet: slow down") {
		t.Errorf("%v", err)
	}
	if _, err = tr.Start(t.Context(), start(id)); !errors.Is(err, transport.KindThrottled) {
		t.Errorf("a start in the middle of a change: %v", err)
	}
	m.fault = nil
	for range 2 {
		if got, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)}); err != nil || got.Ref != ref(id) {
			t.Errorf("%+v, %v", got, err)
		}
		m.want(id, own, 1)
	}
	if calls := m.trades(); calls[len(calls)-1] != "StopInstances" {
		t.Errorf("one that has its own type is changed: %q", calls)
	}
}

// TestHalfDone checks the records of a host that was killed during a change, and what
// people did since. Another operation must complete them.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	const launched = " launched 2026-01-01T00:00:00Z by dead" // the launch time of an instance that was not started
	const since = " launched 2025-12-31T00:00:00Z by dead"    // the instance has run since
	for name, test := range map[string]struct {
		record, shown string
		back          bool
		kind          string // the type in the end
		kept          bool   // the record is unchanged
	}{
		"recorded, not made":             {"changing t3.micro to t3.small" + launched, own, false, second, false},
		"made, not recorded":             {"changing t3.micro to t3.small" + launched, second, false, second, false},
		"the second change, not made":    {"changing t3.micro to t3.medium" + launched, second, false, third, false},
		"the own type, not back":         {"changing t3.micro to t3.micro" + launched, second, true, own, false},
		"the own type back":              {"changing t3.micro to t3.micro" + launched, own, true, own, false},
		"recorded, and run since":        {"changing t3.micro to t3.small" + since, own, false, own, false},
		"run before the second change":   {"changing t3.micro to t3.medium" + since, second, false, second, false},
		"run before, and to be put back": {"changing t3.micro to t3.medium" + since, second, true, own, false},
		"changed":                        {"changed t3.micro to t3.small" + launched, second, true, second, false},
		"changed, and run since":         {"changed t3.micro to t3.small" + since, second, true, own, false},
		"changed, run, and kept":         {"changed t3.micro to t3.small" + since, second, false, second, false},
		"put back by hand":               {"changed t3.micro to t3.small" + since, own, true, own, false},
		"put back, and not run since":    {"changed t3.micro to t3.micro" + launched, own, true, own, true},
		"back by hand, not asked for":    {"changed t3.micro to t3.small" + since, own, false, own, false},
		"set to something else by hand":  {"changed t3.micro to t3.small" + since, "t3.large", true, "t3.large", false},
		"not readable":                   {"as it pleases", second, true, second, true},
		"without a time":                 {"changed t3.micro to t3.small launched then by dead", second, true, second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newProxy(t, newRAM(t)).market()
			id := m.stopped(1, nil)[0]
			m.record(id, test.record)
			m.become(id, test.shown)
			cfg := others
			cfg.PutTypeBack = test.back
			if _, err := m.open(cfg).Start(t.Context(), start(id)); err != nil {
				t.Fatal(err)
			}
			switch tag := recordIn(m.instance(id)); {
			case test.kept || test.kind == "t3.large" || test.kind == own && strings.HasPrefix(test.record, "changed") && test.shown == own:
				if string(m.instance(id).InstanceType) != test.kind || test.kept != (tag == test.record) || m.effects(id) != 1 {
					t.Errorf("it is %s with %q, started %d times", m.instance(id).InstanceType, tag, m.effects(id))
				}
			default:
				m.want(id, test.kind, 1)
			}
		})
	}
}

// TestHalfDoneRunning checks a change that came too late because the instance runs. Its
// record names the type that it has, and its own type is restored after it has stopped.
func TestHalfDoneRunning(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market(own)
	id := m.stopped(1, nil)[0]
	cfg := others
	cfg.PutTypeBack = true
	tr := m.open(cfg)
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Fatal(err)
	}
	m.sellOut()
	m.record(id, "changing t3.micro to t3.micro launched "+launchOf(t, tr, id)+" by dead")
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Fatal(err)
	}
	m.want(id, second, 1)
	m.stop(id)
	if _, err := tr.Start(t.Context(), start(id)); err != nil {
		t.Fatal(err)
	}
	m.want(id, own, 2)
}

// TestHalfDoneStays checks that a half-done change that cannot be completed now keeps
// only its own instance from being started.
func TestHalfDoneStays(t *testing.T) {
	t.Parallel()
	m := newProxy(t, newRAM(t)).market()
	ids := m.stopped(2, nil)
	m.record(ids[0], "changing t3.micro to t3.small launched 2026-01-01T00:00:00Z by dead")
	tr := m.open(others)
	for name, test := range map[string]struct {
		f    fault
		kind transport.Kind
	}{
		"throttled": {fault{status: 503, code: "RequestLimitExceeded", message: "slow down"}, transport.KindThrottled},
		"cut":       {fault{drop: true}, transport.KindUnknown},
	} {
		m.fault = func(r request) *fault {
			if r.action == "ModifyInstanceAttribute" {
				return &test.f
			}
			return nil
		}
		results, err := tr.BatchStart(t.Context(), inputs(ids...))
		if err != nil {
			t.Fatal(err)
		}
		var e *transport.Error
		if !errors.As(results[0].Err, &e) || e.Kind != test.kind || !e.NotSent || results[1].Err != nil {
			t.Errorf("%s: %+v", name, results)
		}
	}
	m.fault = nil
	if m.effects(ids[0]) != 0 || m.effects(ids[1]) != 1 {
		t.Errorf("started %d and %d times", m.effects(ids[0]), m.effects(ids[1]))
	}
	if _, err := tr.Start(t.Context(), start(ids[0])); err != nil {
		t.Error(err)
	}
	m.want(ids[0], second, 1)
	// A host that may never change it starts the instance unchanged.
	m.stop(ids[0])
	m.record(ids[0], "changing t3.micro to t3.medium launched "+launchOf(t, tr, ids[0])+" by dead")
	m.unfit = map[string]string{"ModifyInstanceAttribute": "UnauthorizedOperation"}
	if _, err := tr.Start(t.Context(), start(ids[0])); err != nil {
		t.Error(err)
	}
	m.want(ids[0], second, 2)
}

func launchOf(t *testing.T, tr *ec2.Transport, id string) string {
	t.Helper()
	got, err := tr.Get(t.Context(), ref(id))
	if err != nil {
		t.Fatal(err)
	}
	return got.StartedAt.Format("2006-01-02T15:04:05.999Z")
}

// TestStartedMeanwhile lets another caller start the instance between the refusal and the
// change, or while a half-done change is completed. EC2 refuses the change. The start
// returns the running instance, and its record is right.
func TestStartedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ record, at string }{
		"before the record":     {"", "CreateTags"},
		"before the change":     {"", "ModifyInstanceAttribute"},
		"before the completion": {"changing t3.micro to t3.small launched 2026-01-01T00:00:00Z by dead", "ModifyInstanceAttribute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newProxy(t, newRAM(t)).market(own)
			m.careless = true
			id := m.stopped(1, nil)[0]
			if test.record != "" {
				m.record(id, test.record)
			}
			m.fault = func(r request) *fault {
				if r.action == test.at && m.effects(id) == 0 {
					m.sellOut()
					if _, err := m.open(ec2.Config{}).Start(t.Context(), start(id)); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			if got, err := m.open(others).Start(t.Context(), start(id)); err != nil || got.State == fsm.StateStopped {
				t.Errorf("%+v, %v", got, err)
			}
			m.careless = false
			m.want(id, own, 1)
		})
	}
}
