package civil_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/civil"
)

func TestParse(t *testing.T) {
	t.Parallel()
	if d, err := civil.ParseDate("2028-02-29"); err != nil || d != (civil.Date{2028, 2, 29}) || d.String() != "2028-02-29" || d.Weekday() != time.Tuesday {
		t.Errorf("%v, %v", d, err)
	}
	if c, err := civil.ParseClock("8:05"); err != nil || c != (civil.Clock{8, 5}) || c.String() != "08:05" {
		t.Errorf("%v, %v", c, err)
	}
	for text, want := range map[string]time.Weekday{"mon": time.Monday, "SUN": time.Sunday, "Thursday": time.Thursday} {
		if day, err := civil.ParseWeekday(text); err != nil || day != want {
			t.Errorf("%q is %v, %v", text, day, err)
		}
	}
	for text, want := range map[string]int{"Europe/Berlin": 3600, "UTC": 0, "Z": 0, "+05:30": 19800, "-03:00": -10800} {
		zone, err := civil.ParseZone(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, offset := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).Zone(); offset != want {
			t.Errorf("%q is %d s from UTC, want %d", text, offset, want)
		}
	}
	for _, text := range []string{"", "2027-02-29", "30.11.2026", "2026-11-30 08:00"} {
		if d, err := civil.ParseDate(text); err == nil {
			t.Errorf("date %q is %v", text, d)
		}
	}
	for _, text := range []string{"", "24:00", "8", "08:60", "08:30:00", "8.30"} {
		if c, err := civil.ParseClock(text); err == nil {
			t.Errorf("time of day %q is %v", text, c)
		}
	}
	for _, text := range []string{"", "m", "mo", "montag", "tues"} {
		if day, err := civil.ParseWeekday(text); err == nil {
			t.Errorf("day of the week %q is %v", text, day)
		}
	}
	for _, text := range []string{"", "Local", "Europe/Berlim", "CEST", "../passwd", "+1", "25:00"} {
		if zone, err := civil.ParseZone(text); err == nil {
			t.Errorf("zone %q is %v", text, zone)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"1d": day, "0d": 0, "1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "+2d": 2 * day, "-1d1h": -25 * time.Hour, "30d90s": 30*day + 90*time.Second,
		"106751d": 106751 * day, "90s": 90 * time.Second, "2h30m": 150 * time.Minute, "0": 0,
	} {
		if d, err := civil.ParseDuration(text); err != nil || d != want {
			t.Errorf("%q is %v, %v; want %v", text, d, err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "1h1d", "1d1d", "1d-1h", "1d+1h", "--1d", "+-1d", "1 d", "1dh", "106752d", "1e3d", "infd", "NaNd", "0x1d", "1_0d", "1.2.3d", ".d"} {
		d, err := civil.ParseDuration(text)
		if err == nil {
			t.Errorf("%q is %v", text, d)
		} else if !strings.Contains(err.Error(), "write it as 90s, 2h30m or 1d12h") {
			t.Errorf("%q: the error %q does not say how to write it", text, err)
		}
	}
}

// FuzzInstants checks the promises of Instants, Next and Previous in any zone that
// can be named, for any date and time of day.
func FuzzInstants(f *testing.F) {
	for _, c := range moments {
		f.Add(c.zone, c.date.String(), c.clock.String(), int64(0))
	}
	f.Add("+23:59", "0000-01-01", "00:00", int64(-62167219200))
	f.Add("America/Juneau", "1867-10-18", "12:00", int64(-3225223727))
	f.Fuzz(func(t *testing.T, name, date, clock string, seconds int64) {
		zone, err := civil.ParseZone(name)
		if err != nil {
			return
		}
		d, err := civil.ParseDate(date)
		if err != nil {
			return
		}
		c, err := civil.ParseClock(clock)
		if err != nil {
			return
		}
		at := civil.Instants(d, c, zone)
		if len(at) == 0 {
			t.Fatalf("%v %v has no instant in %s", d, c, name)
		}
		for i, one := range at {
			exact := civil.DateOf(one) == d && civil.ClockOf(one) == c
			if !exact && len(at) > 1 || i > 0 && !one.After(at[i-1]) {
				t.Errorf("%v %v in %s is %v", d, c, name, at)
			}
			if before := one.Add(-time.Second); !exact && civil.DateOf(before) == d && civil.ClockOf(before) == c {
				t.Errorf("%v %v in %s is %v, and it was shown before", d, c, name, at)
			}
		}
		now := time.Unix(seconds%253402300800, 0)
		if next, ok := civil.Next(now, c, zone, nil); !ok || !next.After(now) || next.Sub(now) > 49*time.Hour {
			t.Errorf("after %v comes %v, %v", now, next, ok)
		}
		if last, ok := civil.Previous(now, c, zone, nil); !ok || last.After(now) || now.Sub(last) > 49*time.Hour {
			t.Errorf("before %v was %v, %v", now, last, ok)
		}
	})
}

// FuzzParseDuration checks that durations without days are read as package time
// does, and that an error is one line that can be shown.
func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"1d", "1d12h", "-1.5d", "90s", "", "9e9d", "d", "\x1b[2Jd", "106751d23h47m16.854775807s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := civil.ParseDuration(text)
		if plain, perr := time.ParseDuration(text); perr == nil && (err != nil || d != plain) {
			t.Errorf("%q is %v, %v; want %v", text, d, err, plain)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Errorf("%q: %q", text, err)
		}
	})
}
