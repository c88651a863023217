package index

import (
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// filled returns an index of n due operations in so many lanes.
func filled(n, lanes int) *Index {
	x := New()
	for i := range n {
		e := entryOf(i)
		e.Lane, e.Due = fmt.Sprint("lane-", i%lanes), at(0)
		x.Add(e)
	}
	x.Publish()
	return x
}

// BenchmarkClaim claims one operation of a lane and releases it. The other pending
// operations must not slow it down.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{1, 1_000_000} {
		b.Run(fmt.Sprint("pending=", n), func(b *testing.B) {
			x := filled(n, min(n, 10_000))
			r := store.ClaimRequest{Now: timeAt(0), Lanes: []store.LaneSlots{{Lane: "lane-0", Sends: 1}}}
			var out store.Claimed
			for b.Loop() {
				due, _ := x.Claim(r)
				x.Remaining(r, &out)
				x.Release(due[0], at(0), false)
				x.Publish()
			}
		})
	}
}

// BenchmarkLife adds an operation, claims it, and removes it.
func BenchmarkLife(b *testing.B) {
	x := filled(100_000, 100)
	e := entryOf(1_000_000)
	e.Lane = "lane-0"
	b.ReportAllocs()
	for b.Loop() {
		x.Add(e)
		x.Publish()
		x.Update(Update{Entry: e, Release: true})
		x.Remove(e.key())
		x.Publish()
	}
}
