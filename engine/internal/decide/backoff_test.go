package decide

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBackoffNext(t *testing.T) {
	t.Parallel()
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	at := time.Duration(0)
	for i, w := range want {
		if at = Quick.Next(at); at != w*time.Second {
			t.Errorf("step %d: %v, want %v", i, at, w*time.Second)
		}
	}
	if got := Quick.Next(time.Hour); got != Quick.Most {
		t.Errorf("an interval beyond the longest is not shortened: %v", got)
	}
}

// TestBackoffAfter walks through the schedule of polls. Each wait is at most the longest, and
// about a quarter of the time that has passed. A restart in the middle of a wait does not
// move the next poll.
func TestBackoffAfter(t *testing.T) {
	t.Parallel()
	for at := time.Duration(0); at < 2*time.Hour; {
		wait := Polls.After(at)
		if wait <= 0 || wait > Polls.Most || at > 15*time.Second && wait > at/3 {
			t.Fatalf("after %v: waits %v", at, wait)
		}
		if later := Polls.After(at + wait/2); later != wait-wait/2 {
			t.Fatalf("after %v the next poll is in %v, but after %v in %v", at, wait, at+wait/2, later)
		}
		at += wait
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	low, high := time.Hour, time.Duration(0)
	for range 10_000 {
		d := Jitter(time.Minute, rand.Int64N)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Second || high > 66*time.Second || high-low < 10*time.Second {
		t.Errorf("jitter of a minute spans %v to %v, want about 54s to 66s", low, high)
	}
}
