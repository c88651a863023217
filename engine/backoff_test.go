package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPauseNext(t *testing.T) {
	t.Parallel()
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	at := time.Duration(0)
	for i, w := range want {
		if at = quick.next(at); at != w*time.Second {
			t.Errorf("step %d: %v, want %v", i, at, w*time.Second)
		}
	}
	if got := quick.next(time.Hour); got != quick.most {
		t.Errorf("an interval beyond the longest is not pulled in: %v", got)
	}
}

// TestPauseAfter walks through the schedule of polls: each wait is at most the
// longest, and about a quarter of what has passed, and a restart in the middle
// of a wait does not move the next poll.
func TestPauseAfter(t *testing.T) {
	t.Parallel()
	for at := time.Duration(0); at < 2*time.Hour; {
		wait := poll.after(at)
		if wait <= 0 || wait > poll.most || at > 15*time.Second && wait > at/3 {
			t.Fatalf("after %v: waits %v", at, wait)
		}
		if later := poll.after(at + wait/2); later != wait-wait/2 {
			t.Fatalf("after %v the next poll is in %v, but after %v in %v", at, wait, at+wait/2, later)
		}
		at += wait
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	low, high := time.Hour, time.Duration(0)
	for range 10_000 {
		d := jitter(time.Minute)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Second || high > 66*time.Second || high-low < 10*time.Second {
		t.Errorf("jitter of a minute spans %v to %v, want about 54s to 66s", low, high)
	}
}

// TestPace: a lane begins low, doubles each second, slows down once a round trip
// when throttled, and creeps up again.
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
