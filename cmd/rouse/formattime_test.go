package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m", time.Hour: "1h",
		2*time.Hour + 10*time.Minute: "2h10m", 26 * time.Hour: "26h", 49 * time.Hour: "2d", -3 * time.Minute: "3m",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	zone := location(t, "Europe/Berlin")
	now := time.Date(2026, 3, 1, 18, 0, 0, 0, zone)
	for at, want := range map[time.Time]string{
		now.Add(-3 * time.Minute):                       "3m ago (17:57:00 CET)",
		now.Add(14 * time.Hour).UTC():                   "in 14h (2026-03-02 08:00:00 CET)",
		time.Date(2026, 3, 29, 3, 30, 0, 0, zone):       "in 27d (2026-03-29 03:30:00 CEST)",
		now.In(location(t, "Asia/Tokyo")):               "0s ago (18:00:00 CET)",
		now.Add(time.Minute).In(location(t, "Etc/UTC")): "in 1m (18:01:00 CET)",
	} {
		if got := when(at, now); got != want {
			t.Errorf("when = %q, want %q", got, want)
		}
	}
	if got := clock(now, now.In(location(t, "America/Sao_Paulo"))); got != "14:00:00 -03" {
		t.Errorf("in a zone without a name it is %q", got)
	}
	if got := dayAndClock(now.Add(14*time.Hour), now); got != "tomorrow, 2026-03-02 08:00:00 CET" {
		t.Errorf("tomorrow is %q", got)
	}
}

func TestDurationFlag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"1d12h": "36h", "1d": "24h", "90s": "1m30s", "2h30m": "2h30m", "0": "0", "10m": "10m", "1h0m10s": "1h0m10s", "1ms": "1ms"} {
		var d time.Duration
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		durationVar(f, &d, "for", time.Hour, "")
		if err := f.Set("for", text); err != nil || f.Lookup("for").Value.String() != want {
			t.Errorf("%s is %s (%v), want %s", text, f.Lookup("for").Value, err, want)
		}
	}
}
