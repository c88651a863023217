package main

import (
	"testing"
	"time"
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

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 18, 0, 0, 0, time.Local)
	day := func(d, h, m int) time.Time { return time.Date(2026, 3, d, h, m, 0, 0, time.Local) }
	zulu := time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		text        string
		ahead, past time.Time
	}{
		{"2026-03-02T08:30:00Z", zulu, zulu},
		{"2026-03-02T10:30:00+02:00", zulu, zulu},
		{"08:30", day(2, 8, 30), day(1, 8, 30)},
		{"23:15", day(1, 23, 15), day(0, 23, 15)},
		{"18:00", day(2, 18, 0), day(1, 18, 0)},
		{"2h", now.Add(2 * time.Hour), now.Add(-2 * time.Hour)},
		{"+90m", now.Add(90 * time.Minute), now.Add(-90 * time.Minute)},
		{"0s", now, now},
	} {
		if got, err := ahead(c.text, now); err != nil || !got.Equal(c.ahead) {
			t.Errorf("ahead(%q) = %v, %v, want %v", c.text, got, err, c.ahead)
		}
		if got, err := past(c.text, now); err != nil || !got.Equal(c.past) {
			t.Errorf("past(%q) = %v, %v, want %v", c.text, got, err, c.past)
		}
	}
	for _, bad := range []string{"", "noon", "24:00", "8", "-2h", "2026-03-02", "08:30:00"} {
		if got, err := ahead(bad, now); err == nil {
			t.Errorf("ahead(%q) = %v, want an error", bad, got)
		}
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 18, 0, 0, 0, time.Local)
	for at, want := range map[time.Time]string{
		now.Add(-3 * time.Minute): "3m ago (17:57:00)",
		now.Add(14 * time.Hour):   "in 14h (2026-03-02 08:00:00)",
	} {
		if got := when(at, now); got != want {
			t.Errorf("when = %q, want %q", got, want)
		}
	}
}
