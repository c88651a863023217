package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: a lane begins low and doubles each second. When throttled, it slows down once a
// round trip, and then its rate grows slowly.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPace(80, 0, time.Now())
		if got := p.bucket.Limit(); got != 10 {
			t.Fatalf("begins at %v a second, want an eighth", got)
		}
		second := func() (n int) {
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				if wait := p.wait(time.Now()); wait > 0 {
					time.Sleep(wait)
					continue
				}
				p.take(time.Now())
				p.answered(time.Now())
				n++
			}
			return n
		}
		first := second()
		for range 4 {
			second()
		}
		if last := second(); first > 25 || last < 75 || last > 90 {
			t.Errorf("%d calls in the first second, %d in the sixth; want about 16 and 80", first, last)
		}
		began := time.Now()
		time.Sleep(time.Millisecond)
		for range 10 { // ten answers of calls that were under way together
			p.throttled(time.Now(), began)
		}
		if got := float64(p.bucket.Limit()); got < 67.9 || got > 68.1 {
			t.Errorf("one round trip's throttling slows it to %v, want 0.85 of 80", got)
		}
		if n := second(); n > 75 {
			t.Errorf("%d calls in the second after, want about 68", n)
		}
	})
}
