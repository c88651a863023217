package main

import (
	"fmt"
	"strings"
	"time"
)

// span is a duration as a person says it: "12s", "3m", "2h10m", "5d".
func span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 10*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int((d % time.Hour).Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// clock is a moment in local time: without the day, if that is today.
func clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04:05")
}

// when is a moment both ways: "3m ago (17:02:10)", "in 9h (2026-03-02 08:30:00)".
func when(at, now time.Time) string {
	if at.After(now) {
		return fmt.Sprintf("in %s (%s)", span(at.Sub(now).Round(time.Second)), clock(at, now))
	}
	return fmt.Sprintf("%s ago (%s)", span(now.Sub(at)), clock(at, now))
}

// ahead reads a moment to come: a time as RFC 3339 has it, a time of day, which
// is the next such one here, or a duration from now.
func ahead(text string, now time.Time) (time.Time, error) {
	at, err := moment(text, now, false)
	if err == nil && timeOfDay(text) && !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at, err
}

// past reads a moment that was: as ahead, the other way round.
func past(text string, now time.Time) (time.Time, error) {
	at, err := moment(text, now, true)
	if err == nil && timeOfDay(text) && at.After(now) {
		at = at.AddDate(0, 0, -1)
	}
	return at, err
}

func moment(text string, now time.Time, back bool) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if at, err := time.Parse("15:04", text); err == nil {
		n := now.Local()
		return time.Date(n.Year(), n.Month(), n.Day(), at.Hour(), at.Minute(), 0, 0, time.Local), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		if back {
			d = -d
		}
		return now.Add(d), nil
	}
	if back {
		return time.Time{}, fmt.Errorf("%q is no time: write 2006-01-02T15:04:05Z, 08:30, or 2h for two hours ago", text)
	}
	if _, err := time.ParseDuration(text); err == nil {
		return time.Time{}, fmt.Errorf("%q lies in the past: write %s for that long from now", text, strings.Replace(text, "-", "+", 1))
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2006-01-02T15:04:05Z, 08:30, or +2h for two hours from now", text)
}

func timeOfDay(text string) bool {
	_, err := time.Parse("15:04", text)
	return err == nil
}
