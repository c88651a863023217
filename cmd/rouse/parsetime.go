package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/civil"
)

// The forms of a time that flags take, for their help.
const (
	aheadForms = "08:30, tomorrow 08:30, mon 08:30, 2026-11-30 08:30, any of them with a zone as in 08:30 Europe/Berlin, 2026-11-30T08:30:00Z, or +2h"
	pastForms  = "18:00, yesterday 18:00, mon 18:00, 2026-11-30 18:00, any of them with a zone as in 18:00 Europe/Berlin, 2026-11-30T18:00:00Z, or 2h for two hours ago"
)

// recent is how long ago a time of day may be a mistake. A user who writes 08:30 at 08:31
// may not mean tomorrow.
const recent = time.Hour

// ahead reads a future time, in now's zone if the text names none. Without a date it is
// the next such time after now. A full date may be in the past. The note is for the user,
// or "".
func ahead(text string, now time.Time) (at time.Time, note string, err error) {
	at, full := fullTime(text)
	if !full {
		if d, derr := civil.ParseDuration(text); derr == nil && d >= 0 {
			return now.Add(d), "", nil
		} else if derr == nil {
			return at, "", fmt.Errorf("%q is in the past; write %s for that long from now", text, strings.Replace(text, "-", "+", 1))
		}
		w, err := readWritten(text, now, aheadForms)
		if err != nil {
			return at, "", err
		}
		if w.date == nil {
			at, note = w.next(now)
			return at, note, nil
		}
		if at, err = w.dated(now); err != nil {
			return at, "", err
		}
	}
	if at.Before(now) {
		note = fmt.Sprintf("%s passed %s ago; the start is due now", text, span(now.Sub(at)))
	}
	return at, note, nil
}

// past reads a past time, in now's zone if the text names none. Without a date it is the
// last such time that is not after now.
func past(text string, now time.Time) (time.Time, error) {
	if at, full := fullTime(text); full {
		return at, nil
	}
	if d, err := civil.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	w, err := readWritten(text, now, pastForms)
	if err != nil {
		return time.Time{}, err
	}
	if w.date == nil {
		at, _ := civil.Previous(now, w.clock, w.zone, w.on)
		return at, nil
	}
	at := civil.Instant(*w.date, w.clock, w.zone)
	if w.relative && at.After(now) {
		return at, fmt.Errorf("%q is in the future", text)
	}
	return at, nil
}

// fullTime reads a date and a time of day with an offset, as in RFC 3339. The seconds may
// be missing.
func fullTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// written is a time as a user wrote it: "mon 08:30", "2026-11-30 08:30 UTC".
type written struct {
	text     string
	date     *civil.Date           // nil: the next or the last date that the field on accepts
	relative bool                  // date was written as today, tomorrow or yesterday
	on       func(civil.Date) bool // nil: any date
	clock    civil.Clock
	zone     *time.Location
}

// readWritten reads "[DAY] HH:MM [ZONE]". DAY is a date, a day of the week, today,
// tomorrow or yesterday.
func readWritten(text string, now time.Time, forms string) (w written, err error) {
	w.text = text
	if len(text) > 10 && text[10] == 'T' {
		text = text[:10] + " " + text[11:]
	}
	fields := strings.Fields(text)
	unclear := fmt.Errorf("%q is not a time; write one as %s", w.text, forms)
	if len(fields) == 0 || len(fields) > 3 {
		return w, unclear
	}
	day := ""
	if _, err := civil.ParseClock(fields[0]); err != nil {
		day, fields = fields[0], fields[1:]
	}
	if len(fields) == 0 || len(fields) > 2 {
		return w, unclear
	}
	if w.clock, err = civil.ParseClock(fields[0]); err != nil {
		return w, unclear
	}
	if w.zone, err = zoneOf(fields[1:], now); err != nil {
		return w, fmt.Errorf("%q: %w", w.text, err)
	}
	if day != "" && !w.setDay(day, civil.DateOf(now.In(w.zone))) {
		return w, unclear
	}
	return w, nil
}

// setDay sets the day, and reports whether text names one.
func (w *written) setDay(text string, today civil.Date) bool {
	for i, name := range []string{"yesterday", "today", "tomorrow"} {
		if strings.EqualFold(text, name) {
			d := today.AddDays(i - 1)
			w.date, w.relative = &d, true
			return true
		}
	}
	if d, err := civil.ParseDate(text); err == nil {
		w.date = &d
		return true
	}
	day, err := civil.ParseWeekday(text)
	w.on = func(d civil.Date) bool { return d.Weekday() == day }
	return err == nil
}

// next returns the next time after now, and a note if there was one just before. When
// clocks are set back, an hour occurs twice. The next time may be in its second
// occurrence, although a date and a time of day mean the first.
func (w *written) next(now time.Time) (at time.Time, note string) {
	at, _ = civil.Next(now, w.clock, w.zone, w.on)
	today := civil.DateOf(now.In(w.zone))
	if w.on == nil || w.on(today) {
		for _, again := range civil.Instants(today, w.clock, w.zone) {
			if again.After(now) && again.Before(at) {
				at = again
			}
		}
	}
	if last, _ := civil.Previous(now, w.clock, w.zone, w.on); now.Sub(last) < recent && at.Sub(now) > recent {
		note = fmt.Sprintf("%s passed %s ago; this start waits until %s; to start now, ask again without --not-before",
			w.text, span(now.Sub(last)), dayAndClock(at, now))
	}
	return at, note
}

// dated returns the time on the date that the user wrote. A time on "today" or
// "yesterday" must not have passed.
func (w *written) dated(now time.Time) (at time.Time, err error) {
	for _, at = range civil.Instants(*w.date, w.clock, w.zone) {
		if at.After(now) || !w.relative {
			return at, nil
		}
	}
	return at, fmt.Errorf("%q passed %s ago; leave out --not-before to start now, or write \"tomorrow %v\"", w.text, span(now.Sub(at)), w.clock)
}

// zoneOf returns the zone that the user wrote, or else now's.
func zoneOf(fields []string, now time.Time) (*time.Location, error) {
	if len(fields) > 0 {
		return civil.ParseZone(fields[0])
	}
	if zone := now.Location(); zone != time.Local || unknownTZ() == "" {
		return zone, nil
	}
	return nil, fmt.Errorf("this machine does not know the time zone TZ=%q; correct TZ, or write the zone after the time, as in 08:30 Europe/Berlin", unknownTZ())
}

// unknownTZ returns the value of TZ if package time could not use it, or else "". Package
// time then takes UTC without an error.
func unknownTZ() string {
	tz := os.Getenv("TZ")
	name := strings.TrimPrefix(tz, ":")
	if runtime.GOOS == "windows" || name == "" || name == "UTC" || time.Local.String() != "UTC" {
		return ""
	}
	return tz
}
