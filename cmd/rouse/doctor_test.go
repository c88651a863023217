package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBounded: a check that does not end is reported in time, and one that ends is not cut
// short.
func TestBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		hangs := bounded(t.Context(), "disk", checkTime, func(context.Context) []finding {
			<-release
			return nil
		})
		quick := bounded(t.Context(), "quick", checkTime, func(context.Context) []finding {
			time.Sleep(checkTime - time.Millisecond)
			return []finding{{"quick", fine, "it ended", ""}}
		})
		got := hangs()
		if len(got) != 1 || got[0].Check != "disk" || got[0].Verdict != broken || !strings.Contains(got[0].Text, "no result within 5s") {
			t.Errorf("found %+v", got)
		}
		if took := time.Since(began); took > checkTime+time.Second {
			t.Errorf("it took %v", took)
		}
		if got := quick(); len(got) != 1 || got[0].Verdict != fine {
			t.Errorf("found %+v", got)
		}
		close(release)
	})
}

// TestDates: the nearest of the providers' clocks decides what the clock of this machine is
// worth.
func TestDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		now       time.Time
		providers []time.Duration // their clocks, against now
		want      verdict
		text      string
	}{
		{"no provider", now, nil, fine, "not compared"},
		{"right", now, []time.Duration{-time.Second}, fine, "it agrees"},
		{"one provider is wrong", now, []time.Duration{-time.Hour, time.Second}, fine, "it agrees"},
		{"the last provider is wrong", now, []time.Duration{time.Second, -time.Hour}, fine, "it agrees"},
		{"behind", now, []time.Duration{time.Minute}, suspect, "behind the providers' clocks"},
		{"ahead", now, []time.Duration{-time.Hour}, broken, "ahead of the providers' clocks"},
		{"never set", time.Unix(60, 0), nil, broken, "it was never set"},
	} {
		var d dates
		for _, off := range c.providers {
			d.add(c.now.Add(off), c.now)
		}
		d.add(time.Time{}, c.now) // an answer without a date
		if got := d.examine(c.now); got.Verdict != c.want || !strings.Contains(got.Text, c.text) || (got.Fix == "") != (got.Verdict == fine) {
			t.Errorf("%s: found %+v", c.name, got)
		}
	}
}
