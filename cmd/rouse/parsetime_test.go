package main

import (
	"strings"
	"testing"
	"time"
)

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
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
		{"1d12h", now.Add(36 * time.Hour), now.Add(-36 * time.Hour)},
		{"2026-03-02T10:30+02:00", zulu, zulu},
		{"2026-03-02 08:30 UTC", zulu, zulu},
		{"2026-03-02T08:30 UTC", zulu, zulu},
		{"2026-03-02 09:30 Europe/Berlin", zulu, zulu},
		{"2026-03-02 10:30 +02:00", zulu, zulu},
		{"2026-03-02 08:30", day(2, 8, 30), day(2, 8, 30)},
		{"2026-03-02T08:30", day(2, 8, 30), day(2, 8, 30)},
		{"today 18:00", time.Time{}, now},
		{"today 19:00", day(1, 19, 0), time.Time{}},
		{"Tomorrow 08:30", day(2, 8, 30), time.Time{}},
		{"yesterday 08:30", time.Time{}, day(0, 8, 30)},
		{"mon 08:30", day(2, 8, 30), day(-5, 8, 30)}, // 1 March 2026 is a Sunday
		{"sunday 17:59", day(8, 17, 59), day(1, 17, 59)},
		{"sun 18:01", day(1, 18, 1), day(-6, 18, 1)},
	} {
		if got, _, err := ahead(c.text, now); (err != nil || !got.Equal(c.ahead)) && !c.ahead.IsZero() {
			t.Errorf("ahead(%q) = %v, %v, want %v", c.text, got, err, c.ahead)
		}
		if got, err := past(c.text, now); (err != nil || !got.Equal(c.past)) && !c.past.IsZero() {
			t.Errorf("past(%q) = %v, %v, want %v", c.text, got, err, c.past)
		}
	}
	for _, bad := range []string{"", "noon", "24:00", "8", "-2h", "2026-03-02", "08:30:00",
		"tomorrow", "mon", "someday 08:30", "08:30 tomorrow", "today 17:59", "yesterday 18:00", "2026-02-30 08:30", "08:30 Europe/Berlim", "08:30 CEST",
		"2026-03-02 08:30 Europe/Berlin UTC", "2026-03-02T25:00", "-1d"} {
		if got, _, err := ahead(bad, now); err == nil {
			t.Errorf("ahead(%q) = %v, want an error", bad, got)
		}
	}
	for _, bad := range []string{"", "noon", "tomorrow 08:30", "today 18:01", "-2h", "18:00 Nowhere"} {
		if got, err := past(bad, now); err == nil {
			t.Errorf("past(%q) = %v, want an error", bad, got)
		}
	}
}

// TestAheadWhereClocksChange sets now to days on which New York's clocks change.
func TestAheadWhereClocksChange(t *testing.T) {
	t.Parallel()
	zone := location(t, "America/New_York")
	for _, c := range []struct{ now, text, want string }{
		{"2026-03-07T20:00:00-05:00", "02:30", "2026-03-08T03:00:00-04:00"}, // the time does not exist on that day
		{"2026-03-08T01:00:00-05:00", "02:30", "2026-03-08T03:00:00-04:00"},
		{"2026-03-08T03:10:00-04:00", "02:30", "2026-03-09T02:30:00-04:00"},
		{"2026-03-08T00:00:00-05:00", "today 02:30", "2026-03-08T03:00:00-04:00"},
		{"2026-03-07T20:00:00-05:00", "2026-03-08 02:30", "2026-03-08T03:00:00-04:00"},
		{"2026-10-31T20:00:00-04:00", "01:30", "2026-11-01T01:30:00-04:00"}, // the time exists twice on that day
		{"2026-11-01T01:10:00-04:00", "01:30", "2026-11-01T01:30:00-04:00"},
		{"2026-11-01T01:10:00-05:00", "01:30", "2026-11-01T01:30:00-05:00"}, // 20 minutes ahead
		{"2026-11-01T01:10:00-05:00", "sun 01:30", "2026-11-01T01:30:00-05:00"},
		{"2026-11-01T01:10:00-05:00", "today 01:30", "2026-11-01T01:30:00-05:00"},
		{"2026-11-01T01:40:00-05:00", "01:30", "2026-11-02T01:30:00-05:00"},
		{"2026-10-31T20:00:00-04:00", "2026-11-01 01:30", "2026-11-01T01:30:00-04:00"},
		{"2026-10-31T20:00:00-04:00", "tomorrow 01:30", "2026-11-01T01:30:00-04:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := ahead(c.text, now.In(zone)); err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s, said at %s, is %v (%v), want %s", c.text, c.now, got, err, c.want)
		}
	}
}

// TestPassed checks the note about a time that has just passed.
func TestPassed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 8, 30, 20, 0, location(t, "Europe/Berlin")) // this day is a Monday
	for text, want := range map[string]string{
		"08:30":                "08:30 passed 20s ago; this start waits until tomorrow, 2026-12-01 08:30:00 CET; to start now, ask again without --not-before",
		"mon 08:30":            "mon 08:30 passed 20s ago; this start waits until 2026-12-07 08:30:00 CET; to start now, ask again without --not-before",
		"08:31":                "",
		"06:00":                "",
		"mon 06:00":            "",
		"+1d":                  "",
		"tomorrow 08:30":       "",
		"2026-11-30 08:30":     "2026-11-30 08:30 passed 20s ago; the start is due now",
		"2026-11-30T07:30:00Z": "2026-11-30T07:30:00Z passed 20s ago; the start is due now",
	} {
		if _, note, err := ahead(text, now); err != nil || note != want {
			t.Errorf("%s: %q (%v), want %q", text, note, err, want)
		}
	}
	if _, _, err := ahead("today 08:30", now); err == nil || !strings.Contains(err.Error(), `passed 20s ago`) {
		t.Errorf("today 08:30 is %v", err)
	}
}
