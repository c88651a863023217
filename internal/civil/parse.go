package civil

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDate reads a date as in "2026-11-30".
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return Date{}, fmt.Errorf("%.64q is not a date: write it as 2026-11-30", text)
	}
	return DateOf(t), nil
}

// ParseClock reads a time of day as in "08:30" or "8:30".
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return Clock{}, fmt.Errorf("%.64q is not a time of day: write it as 08:30", text)
	}
	return ClockOf(t), nil
}

// ParseWeekday reads a day of the week in English: its name or the first three
// letters, in upper or lower case.
func ParseWeekday(text string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if name := day.String(); strings.EqualFold(text, name) || strings.EqualFold(text, name[:3]) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%.64q is not a day of the week: write it as mon or monday", text)
}

// ParseZone reads a zone: a name of the time zone database ("Europe/Berlin",
// "UTC") or an offset ("+01:00").
func ParseZone(text string) (*time.Location, error) {
	if t, err := time.Parse("Z07:00", text); err == nil {
		if _, offset := t.Zone(); offset != 0 {
			return time.FixedZone(text, offset), nil
		}
		return time.UTC, nil
	}
	if text != "" && text != "Local" { // LoadLocation reads both as zones
		if zone, err := time.LoadLocation(text); err == nil {
			return zone, nil
		}
	}
	return nil, fmt.Errorf("%.64q is not a time zone: write a name of the time zone database, as Europe/Berlin, or an offset, as +01:00", text)
}

// ParseDuration is [time.ParseDuration] that also reads days of 24 hours, before all
// other units: "1d", "1d12h", "-1.5d".
func ParseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%.64q is not a duration: write it as 90s, 2h30m or 1d12h", text)
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, wrong
		}
		return d, nil
	}
	number, signed := strings.CutPrefix(days, "-")
	if !signed {
		number = strings.TrimPrefix(days, "+")
	}
	if strings.Trim(number, "0123456789.") != "" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, wrong
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, wrong
	}
	d := time.Duration(0)
	if rest != "" {
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, wrong
		}
	}
	if total := n*float64(24*time.Hour) + float64(d); total >= math.MaxInt64 {
		return 0, wrong
	}
	d += time.Duration(n * float64(24*time.Hour))
	if signed {
		d = -d
	}
	return d, nil
}
