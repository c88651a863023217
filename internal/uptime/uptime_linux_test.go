package uptime

import (
	"testing"
	"testing/synctest"
)

func TestNow(t *testing.T) {
	a, b := Now(), Now()
	if !a.Known() || a.Boot != b.Boot || b.Elapsed < a.Elapsed || b.Awake < a.Awake || a.Awake <= 0 {
		t.Errorf("read %+v, then %+v", a, b)
	}
	if a.Elapsed < a.Awake {
		t.Errorf("awake for %v of %v", a.Awake, a.Elapsed)
	}
}

// TestNowInABubble checks that Now returns nothing in a bubble, because a bubble's time
// is not the system's.
func TestNowInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if r := Now(); r.Known() {
			t.Errorf("read %+v in a bubble", r)
		}
	})
}
