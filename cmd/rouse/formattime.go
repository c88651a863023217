package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rouse-dev/rouse/internal/civil"
)

// span returns a duration as a person says it: "12s", "3m", "2h10m", "5d".
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

// clock returns a time in now's zone, with the zone's name, or its offset from UTC if it
// has none. It leaves out today's date.
func clock(at, now time.Time) string {
	at = at.In(now.Location())
	if civil.DateOf(at) == civil.DateOf(now) {
		return at.Format("15:04:05 MST")
	}
	return at.Format("2006-01-02 15:04:05 MST")
}

// dayAndClock is like clock, and returns "tomorrow" before the next day's date.
func dayAndClock(at, now time.Time) string {
	text := clock(at, now)
	if civil.DateOf(at.In(now.Location())) == civil.DateOf(now).AddDays(1) {
		return "tomorrow, " + text
	}
	return text
}

// when returns a time both ways: "3m ago (17:02:10 CET)", "in 9h (2026-03-02
// 08:30:00 CET)".
func when(at, now time.Time) string {
	if at.After(now) {
		return fmt.Sprintf("in %s (%s)", span(at.Sub(now).Round(time.Second)), clock(at, now))
	}
	return fmt.Sprintf("%s ago (%s)", span(now.Sub(at)), clock(at, now))
}

// durationFlag is a time.Duration that a flag sets. The flag may name days too.
type durationFlag time.Duration

// durationVar defines a flag whose value is a duration, such as "90s", "2h30m" or
// "1d12h".
func durationVar(f *pflag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	f.Var((*durationFlag)(d), name, usage)
}

func (d *durationFlag) Set(text string) error {
	value, err := civil.ParseDuration(text)
	if err != nil {
		return err
	}
	*d = durationFlag(value)
	return nil
}

func (d *durationFlag) Type() string { return "duration" }

// String returns "24h" for 24h0m0s. It returns "0" for zero, which pflag does not print
// as a default.
func (d *durationFlag) String() string {
	if *d == 0 {
		return "0"
	}
	text := time.Duration(*d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
