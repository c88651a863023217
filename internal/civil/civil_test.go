package civil_test

import (
	"testing"
	"time"
	_ "time/tzdata" // a machine without a time zone database runs these tests too

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/internal/civil"
)

func load(t rapid.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// moments are times when zones' clocks are set: daylight saving time, and days that a
// zone skips or has twice.
var moments = []struct {
	name, zone string
	date       civil.Date
	clock      civil.Clock
	want       []string
}{
	{"an ordinary day", "America/New_York", civil.Date{2026, 7, 1}, civil.Clock{8, 30}, []string{"2026-07-01T08:30:00-04:00"}},
	{"New York, gap", "America/New_York", civil.Date{2026, 3, 8}, civil.Clock{2, 30}, []string{"2026-03-08T03:00:00-04:00"}},
	{"New York, first minute of the gap", "America/New_York", civil.Date{2026, 3, 8}, civil.Clock{2, 0}, []string{"2026-03-08T03:00:00-04:00"}},
	{"New York, last minute before the gap", "America/New_York", civil.Date{2026, 3, 8}, civil.Clock{1, 59}, []string{"2026-03-08T01:59:00-05:00"}},
	{"New York, first minute after the gap", "America/New_York", civil.Date{2026, 3, 8}, civil.Clock{3, 0}, []string{"2026-03-08T03:00:00-04:00"}},
	{"New York, double", "America/New_York", civil.Date{2026, 11, 1}, civil.Clock{1, 30}, []string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"}},
	{"New York, first minute of the double", "America/New_York", civil.Date{2026, 11, 1}, civil.Clock{1, 0}, []string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"}},
	{"New York, first minute after the double", "America/New_York", civil.Date{2026, 11, 1}, civil.Clock{2, 0}, []string{"2026-11-01T02:00:00-05:00"}},
	{"Berlin, double", "Europe/Berlin", civil.Date{2026, 10, 25}, civil.Clock{2, 30}, []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"}},
	{"Berlin, gap", "Europe/Berlin", civil.Date{2026, 3, 29}, civil.Clock{2, 30}, []string{"2026-03-29T03:00:00+02:00"}},
	{"Santiago, gap at midnight", "America/Santiago", civil.Date{2026, 9, 6}, civil.Clock{0, 0}, []string{"2026-09-06T01:00:00-03:00"}},
	{"Santiago, double before midnight", "America/Santiago", civil.Date{2026, 4, 4}, civil.Clock{23, 30}, []string{"2026-04-04T23:30:00-03:00", "2026-04-04T23:30:00-04:00"}},
	{"Cairo, gap at midnight", "Africa/Cairo", civil.Date{2026, 4, 24}, civil.Clock{0, 0}, []string{"2026-04-24T01:00:00+03:00"}},
	{"Lord Howe, gap of half an hour", "Australia/Lord_Howe", civil.Date{2026, 10, 4}, civil.Clock{2, 15}, []string{"2026-10-04T02:30:00+11:00"}},
	{"Lord Howe, double of half an hour", "Australia/Lord_Howe", civil.Date{2026, 4, 5}, civil.Clock{1, 45}, []string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"}},
	{"Apia, a day that was skipped", "Pacific/Apia", civil.Date{2011, 12, 30}, civil.Clock{8, 0}, []string{"2011-12-31T00:00:00+14:00"}},
	{"Troll, gap of two hours", "Antarctica/Troll", civil.Date{2026, 3, 29}, civil.Clock{1, 15}, []string{"2026-03-29T03:00:00+02:00"}},
	{"beyond the zone's table", "America/New_York", civil.Date{2199, 3, 10}, civil.Clock{2, 30}, []string{"2199-03-10T03:00:00-04:00"}},
	{"a zone without changes", "UTC", civil.Date{2026, 3, 8}, civil.Clock{2, 30}, []string{"2026-03-08T02:30:00Z"}},
}

func TestInstants(t *testing.T) {
	t.Parallel()
	for _, c := range moments {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := load(t, c.zone)
			got := civil.Instants(c.date, c.clock, zone)
			if len(got) != len(c.want) {
				t.Fatalf("%v %v in %s is %v, want %v", c.date, c.clock, c.zone, got, c.want)
			}
			for i, want := range c.want {
				if s := got[i].Format(time.RFC3339); s != want {
					t.Errorf("%v %v in %s is %s, want %s", c.date, c.clock, c.zone, s, want)
				}
			}
			if at := civil.Instant(c.date, c.clock, zone); !at.Equal(got[0]) {
				t.Errorf("Instant is %v, want %v", at, got[0])
			}
		})
	}
}

// TestDaily follows a daily time over the days of the table. It occurs once a day.
func TestDaily(t *testing.T) {
	t.Parallel()
	for _, c := range moments {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := load(t, c.zone)
			at := civil.Instant(c.date.AddDays(-2), c.clock, zone)
			for n := -1; n <= 2; n++ {
				next, ok := civil.Next(at, c.clock, zone, nil)
				if want := civil.Instant(c.date.AddDays(n), c.clock, zone); !ok || !next.Equal(want) {
					t.Fatalf("after %v comes %v (%v), want %v", at, next, ok, want)
				}
				if back, ok := civil.Previous(next.Add(-time.Nanosecond), c.clock, zone, nil); !ok || !back.Equal(at) {
					t.Fatalf("before %v is %v (%v), want %v", next, back, ok, at)
				}
				if same, ok := civil.Previous(next, c.clock, zone, nil); !ok || !same.Equal(next) {
					t.Fatalf("the last that is not after %v is %v (%v)", next, same, ok)
				}
				at = next
			}
		})
	}
}

func TestNextOnSomeDays(t *testing.T) {
	t.Parallel()
	zone := load(t, "Europe/Berlin")
	friday := time.Date(2026, 11, 27, 18, 0, 0, 0, zone)
	monday := func(d civil.Date) bool { return d.Weekday() == time.Monday }
	if got, ok := civil.Next(friday, civil.Clock{8, 30}, zone, monday); !ok || got.Format(time.RFC3339) != "2026-11-30T08:30:00+01:00" {
		t.Errorf("the next Monday at 08:30 is %v, %v", got, ok)
	}
	if got, ok := civil.Previous(friday, civil.Clock{8, 30}, zone, monday); !ok || got.Format(time.RFC3339) != "2026-11-23T08:30:00+01:00" {
		t.Errorf("the last Monday at 08:30 is %v, %v", got, ok)
	}
	leap := func(d civil.Date) bool { return d.Month == time.February && d.Day == 29 }
	if got, ok := civil.Next(friday, civil.Clock{}, zone, leap); !ok || got.Format(time.DateOnly) != "2028-02-29" {
		t.Errorf("the next leap day is %v, %v", got, ok)
	}
	if got, ok := civil.Next(friday, civil.Clock{}, zone, func(civil.Date) bool { return false }); ok {
		t.Errorf("no day at all is %v", got)
	}
}

// zones are where clocks were set in all known ways. Examples are by 20 minutes to a day,
// at midnight, at 00:01, twice around Ramadan, back in summer, and never.
var zones = []string{
	"Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Juba", "Africa/Lagos", "Africa/Monrovia", "Africa/Sao_Tome", "Africa/Tripoli",
	"Africa/Windhoek", "America/Asuncion", "America/Caracas", "America/Godthab", "America/Havana", "America/Lima", "America/Metlakatla",
	"America/Montevideo", "America/New_York", "America/Noronha", "America/Nuuk", "America/Port-au-Prince", "America/Santiago", "America/Sao_Paulo",
	"America/Scoresbysund", "America/St_Johns", "America/Tijuana", "Antarctica/Casey", "Antarctica/Palmer", "Antarctica/Troll", "Antarctica/Vostok",
	"Asia/Amman", "Asia/Baku", "Asia/Beirut", "Asia/Choibalsan", "Asia/Colombo", "Asia/Damascus", "Asia/Dhaka", "Asia/Gaza", "Asia/Hovd",
	"Asia/Jerusalem", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Magadan", "Asia/Pyongyang", "Asia/Singapore", "Asia/Tehran", "Atlantic/Azores",
	"Atlantic/Stanley", "Australia/Adelaide", "Australia/Eucla", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Europe/Istanbul",
	"Europe/Lisbon", "Europe/London", "Europe/Moscow", "Europe/Volgograd", "Indian/Mauritius", "Pacific/Apia", "Pacific/Auckland",
	"Pacific/Bougainville", "Pacific/Chatham", "Pacific/Easter", "Pacific/Fakaofo", "Pacific/Fiji", "Pacific/Kiritimati", "Pacific/Kwajalein",
	"Pacific/Norfolk", "Pacific/Tongatapu", "UTC",
}

// TestLikeASearch compares Instants with a search through every minute. From 1973 on all
// offsets and changes are whole minutes.
func TestLikeASearch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := load(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		d := civil.DateOf(time.Date(1973, 1, 1, 0, 0, 0, 0, time.UTC)).AddDays(rapid.IntRange(0, 75*365).Draw(t, "day"))
		c := civil.Clock{rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")}
		if rapid.Bool().Draw(t, "at a change") {
			start, end := time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, zone).ZoneBounds()
			switch {
			case !end.IsZero() && end.Year() < 2100:
				d = civil.DateOf(end.Add(-time.Second))
			case start.Year() > 1973:
				d = civil.DateOf(start)
			}
		}
		got, want := civil.Instants(d, c, zone), search(d, c, zone)
		if len(got) != len(want) {
			t.Fatalf("%v %v in %v is %v, want %v", d, c, zone, got, want)
		}
		for i := range want {
			if !got[i].Equal(want[i]) {
				t.Fatalf("%v %v in %v is %v, want %v", d, c, zone, got, want)
			}
		}
	})
}

// search returns the minutes in which clocks show c on d, or else the first in
// which they show more.
func search(d civil.Date, c civil.Clock, zone *time.Location) []time.Time {
	begin := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Add(-30 * time.Hour)
	wanted := time.Date(d.Year, d.Month, d.Day, c.Hour, c.Minute, 0, 0, time.UTC)
	var shown, later []time.Time
	for n := range 90 * 60 {
		at := begin.Add(time.Duration(n) * time.Minute).In(zone)
		year, month, day := at.Date()
		reads := time.Date(year, month, day, at.Hour(), at.Minute(), 0, 0, time.UTC)
		switch {
		case reads.Equal(wanted):
			shown = append(shown, at)
		case reads.After(wanted) && later == nil:
			later = []time.Time{at}
		}
	}
	if shown == nil {
		return later
	}
	return shown
}
