package ec2

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/smithy-go"
)

// farm is a fake of EC2. It starts all ids of a call or none.
type farm struct {
	t      *testing.T
	bad    map[string]bool
	naming bool // its refusals name the bad ids
	kind   transport.Kind
	short  bool // it has capacity for only room more ids
	room   int
	eager  bool // it checks the capacity before it checks for bad ids
	breaks map[int]error
	calls  int
	told   map[string][]error // the results by id; nil means started
}

func refused(kind transport.Kind, message string) error {
	return &transport.Error{Kind: kind, Err: &smithy.GenericAPIError{Code: "IncorrectInstanceState", Message: message}}
}

func (f *farm) batch() batch {
	f.told = map[string][]error{}
	return batch{
		send: func(ids []string) error {
			f.calls++
			if err := f.breaks[f.calls]; err != nil {
				return err
			}
			full := f.short && len(ids) > f.room
			if full && f.eager {
				return refused(transport.KindCapacity, "no room")
			}
			bad := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !f.bad[id] })
			if len(bad) > 0 {
				if !f.naming {
					bad = nil
				}
				return refused(cmp.Or(f.kind, transport.KindConflict), fmt.Sprintf("The instances '%s' are not in a state from which they can be started.", strings.Join(bad, ", ")))
			}
			if full {
				return refused(transport.KindCapacity, "no room")
			}
			f.room -= len(ids)
			f.tell(ids, nil)
			return nil
		},
		fail: f.tell,
	}
}

func (f *farm) tell(ids []string, err error) {
	for _, id := range ids {
		f.told[id] = append(f.told[id], err)
	}
}

// check checks that each id has one result. The bad ones have a refusal, and the others
// are started unless a call failed or there was no capacity left.
func (f *farm) check(ids []string) {
	f.t.Helper()
	for _, id := range ids {
		told := f.told[id]
		switch {
		case len(told) != 1:
			f.t.Fatalf("%s has %d results: %v", id, len(told), told)
		case f.bad[id] && told[0] == nil:
			f.t.Errorf("%s is bad and was started", id)
		case !f.bad[id] && told[0] != nil && len(f.breaks) == 0 && !(f.short && f.room == 0 && errors.Is(told[0], transport.KindCapacity)):
			f.t.Errorf("%s is good and failed, with room for %d: %v", id, f.room, told[0])
		}
	}
	if len(f.told) != len(ids) {
		f.t.Errorf("results for %d of %d", len(f.told), len(ids))
	}
}

func fleet(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%017x", i)
	}
	return ids
}

// TestOneSpoils checks that one bad id among five hundred costs at most ten more calls.
// It costs one more if EC2 names it, wherever it is in the list.
func TestOneSpoils(t *testing.T) {
	t.Parallel()
	ids := fleet(500)
	for _, naming := range []bool{false, true} {
		most := 0
		for _, bad := range ids {
			f := &farm{t: t, bad: map[string]bool{bad: true}, naming: naming}
			f.batch().start(ids)
			f.check(ids)
			most = max(most, f.calls)
		}
		want := 11
		if naming {
			want = 2
		}
		if most != want {
			t.Errorf("naming %v: one bad among 500 costs up to %d calls, want %d", naming, most, want)
		}
	}
}

// TestManySpoil checks any number of bad ids, anywhere, and any capacity. As many ids are
// started as fit, and no good one gets the error of a bad one.
func TestManySpoil(t *testing.T) {
	t.Parallel()
	rnd := scale.Rand(scale.Seed(t))
	for range scale.Of(t, 300, 3000, 100_000) {
		ids := fleet(rnd.IntN(200))
		f := &farm{t: t, bad: map[string]bool{}, naming: rnd.IntN(2) == 0}
		f.kind = []transport.Kind{transport.KindConflict, transport.KindInvalid}[rnd.IntN(2)]
		f.short, f.room, f.eager = rnd.IntN(2) == 0, rnd.IntN(len(ids)+1), rnd.IntN(2) == 0
		for range rnd.IntN(len(ids) + 1) {
			f.bad[ids[rnd.IntN(len(ids))]] = true
		}
		f.batch().start(ids)
		f.check(ids)
		// The calls of a search for each, or one by one, and three calls for each size of
		// the parts.
		sizes := bits.Len(uint(len(ids)))
		if most := 1 + len(f.bad)*(sizes+1) + 3*sizes; f.calls > most+len(ids) || f.naming && f.calls > 1+len(f.bad)+3*sizes {
			t.Errorf("%d calls for %d ids with %d bad ones, want at most %d", f.calls, len(ids), len(f.bad), most)
		}
		if t.Failed() {
			t.Logf("%d, naming %v, %v, short %v, eager %v", len(ids), f.naming, f.kind, f.short, f.eager)
			return
		}
	}
}

// TestAllSpoil checks that a batch of bad ids only costs few more calls than one for
// each.
func TestAllSpoil(t *testing.T) {
	t.Parallel()
	ids := fleet(500)
	f := &farm{t: t, bad: map[string]bool{}}
	for _, id := range ids {
		f.bad[id] = true
	}
	f.batch().start(ids)
	f.check(ids)
	if f.calls > len(ids)+12 {
		t.Errorf("%d calls for %d that are all bad", f.calls, len(ids))
	}
	f.calls, f.breaks = 0, map[int]error{100: &transport.Error{Kind: transport.KindThrottled}}
	f.batch().start(ids)
	f.check(ids)
	if f.calls != 100 {
		t.Errorf("%d calls, though the hundredth was throttled", f.calls)
	}
}

// TestFit checks capacity for some of the ids. That many are started, and the others get
// the reason, in a few calls.
func TestFit(t *testing.T) {
	t.Parallel()
	ids := fleet(500)
	for room := range len(ids) + 1 {
		for _, kind := range []transport.Kind{transport.KindCapacity, transport.KindQuotaExceeded} {
			left, calls, told := room, 0, map[string]error{}
			tell := func(ids []string, err error) {
				for _, id := range ids {
					if was, again := told[id]; again {
						t.Fatalf("room for %d: %s: %v, and then %v", room, id, was, err)
					}
					told[id] = err
				}
			}
			batch{fail: tell, send: func(ids []string) error {
				calls++
				if len(ids) > left {
					return refused(kind, "no room")
				}
				left -= len(ids)
				tell(ids, nil)
				return nil
			}}.start(ids)
			refusals := 0
			for _, err := range told {
				if errors.Is(err, kind) {
					refusals++
				}
			}
			if left != 0 || len(told) != len(ids) || refusals != len(ids)-room || calls > 18 {
				t.Fatalf("room for %d of %d: %d started, %d refused, in %d calls", room, len(ids), room-left, refusals, calls)
			}
		}
	}
}

// TestCallsBreak ends a call during a search, or while halves are sent for lack of
// capacity. Each id has a result, and none that may have been started is reported as not
// sent.
func TestCallsBreak(t *testing.T) {
	t.Parallel()
	ids := fleet(64)
	throttled := &transport.Error{Kind: transport.KindThrottled}
	cut := &transport.Error{Message: "cut"}
	for at := 1; at <= 6; at++ {
		for _, broke := range []*transport.Error{throttled, cut} {
			for _, short := range []bool{false, true} {
				f := &farm{t: t, bad: map[string]bool{ids[40]: true}, breaks: map[int]error{at: broke}, short: short, room: 20}
				f.batch().start(ids)
				f.check(ids)
				for _, id := range ids {
					var e *transport.Error
					switch err := f.told[id][0]; {
					case err == nil:
					case !errors.As(err, &e):
						t.Errorf("break at call %d: %s: %v", at, id, err)
					case broke == throttled && e.Kind != transport.KindThrottled && !f.bad[id]:
						t.Errorf("break at call %d: %s: %v, want throttled", at, id, err)
					case broke == cut && e.NotSent:
						t.Errorf("break at call %d: %s has NotSent after a conflict, whose outcome is unknown: %v", at, id, err)
					}
				}
			}
		}
	}
	// After a refusal it is certain that nothing was started.
	if err := unasked(cut, refused(transport.KindNotFound, "")); !err.(*transport.Error).NotSent {
		t.Errorf("%v lacks NotSent", err)
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	ids := []string{"i-0000000000000000a", "i-0000000000000000b", "i-00000000"}
	for message, want := range map[string]int{
		"The instance ID 'i-0000000000000000a' does not exist":                      1,
		"The instance IDs 'i-0000000000000000a, i-0000000000000000b' do not exist":  2,
		"The instance ID 'i-0000000000000000c' does not exist":                      0,
		"The instance 'i-00000000' is not in a state from which it can be started.": 1,
		"": 0,
	} {
		if got := named(ids, refused(transport.KindNotFound, message)); len(got) != want {
			t.Errorf("%q names %v", message, got)
		}
	}
	denial := "User: arn:aws:sts::123456789012:assumed-role/host/i-0000000000000000a is not authorized to perform: " +
		"ec2:StartInstances on resource: arn:aws:ec2:us-west-2:123456789012:instance/i-0000000000000000b because"
	if got := named(ids, refused(transport.KindAccessDenied, denial)); len(got) != 1 || got[0] != ids[1] {
		t.Errorf("a denial names %v, want only %s", got, ids[1])
	}
}

func TestPools(t *testing.T) {
	t.Parallel()
	var p pools
	if got := p.unknown([]string{"i-1"}); len(got) != 1 || p.of("i-1") != "" {
		t.Errorf("the zero value has %q", p.of("i-1"))
	}
}
