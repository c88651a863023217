// Package civil turns a date and a time of day in a zone into instants, also
// where daylight saving time begins or ends:
//
//   - A time that a zone's clocks skip means the first instant after the gap.
//   - A time that they show twice means the first of the two.
//
// [time.Date] promises neither. In New York it reads 02:30 of a day without that
// time as 01:30, and in Berlin it takes the second of two.
//
// The package also reads what people write: dates, times of day, days of the
// week, zones, and durations with days. It does no I/O, except that [ParseZone]
// reads the time zone database. Every function is safe for concurrent use.
package civil

import "time"

// Date is a day of the Gregorian calendar, in no zone. The zero value is not a
// date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the date that clocks show at t in t's own location.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// AddDays returns the date n days after d; n may be negative.
func (d Date) AddDays(n int) Date { return DateOf(d.midnight().AddDate(0, 0, n)) }

// Weekday returns d's day of the week.
func (d Date) Weekday() time.Weekday { return d.midnight().Weekday() }

// String returns d as in "2026-11-30".
func (d Date) String() string { return d.midnight().Format(time.DateOnly) }

// midnight is when d begins in UTC, where every day has 24 hours.
func (d Date) midnight() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// Clock is a time of day in no zone, from 00:00, the zero value, to 23:59.
type Clock struct{ Hour, Minute int }

// ClockOf returns the time of day that clocks show at t in t's own location,
// without its seconds.
func ClockOf(t time.Time) Clock { return Clock{t.Hour(), t.Minute()} }

// String returns c as in "08:30".
func (c Clock) String() string {
	return time.Date(0, 1, 1, c.Hour, c.Minute, 0, 0, time.UTC).Format("15:04")
}

// reach is more than any zone's clocks differ from UTC.
const reach = 36 * time.Hour

// Instants returns when the clocks of zone show c on d, in order. There are two instants
// if clocks are set back over that time. If they skip it there is one, the first after
// the gap.
func Instants(d Date, c Clock, zone *time.Location) []time.Time {
	wall := d.midnight().Add(time.Duration(c.Hour)*time.Hour + time.Duration(c.Minute)*time.Minute)
	var shown []time.Time
	var afterGap time.Time
	for t := wall.Add(-reach).In(zone); ; {
		start, end := t.ZoneBounds() // the offset does not change between them
		_, offset := t.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		switch {
		case !start.IsZero() && at.Before(start):
			if afterGap.IsZero() {
				afterGap = start
			}
		case end.IsZero() || at.Before(end):
			shown = append(shown, at)
		}
		if end.IsZero() || end.After(wall.Add(reach)) {
			break
		}
		t = end
	}
	if len(shown) == 0 {
		return []time.Time{afterGap}
	}
	return shown
}

// Instant returns the instant that c on d means in zone: the first of
// [Instants].
func Instant(d Date, c Clock, zone *time.Location) time.Time { return Instants(d, c, zone)[0] }

// Next returns the first [Instant] of c after t, on a date in zone for which on returns
// true. A nil on accepts every date. Next reports false if there is none within ten
// years.
func Next(t time.Time, c Clock, zone *time.Location, on func(Date) bool) (time.Time, bool) {
	return walk(t, c, zone, on, 1)
}

// Previous is [Next] in the other direction: the last Instant of c that is not
// after t.
func Previous(t time.Time, c Clock, zone *time.Location, on func(Date) bool) (time.Time, bool) {
	return walk(t, c, zone, on, -1)
}

// walk tries dates one by one. It begins two before t's date, or two after it if step is
// -1. The instant of a date that a zone skips is on the next date.
func walk(t time.Time, c Clock, zone *time.Location, on func(Date) bool, step int) (time.Time, bool) {
	const most = 3660
	d := DateOf(t.In(zone)).AddDays(-2 * step)
	for range most {
		if on == nil || on(d) {
			if at := Instant(d, c, zone); at.After(t) == (step > 0) {
				return at, true
			}
		}
		d = d.AddDays(step)
	}
	return time.Time{}, false
}
