package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzMoment checks that a future time is not past and a past time is not in the future,
// unless the text has a date. It also checks that an error is one line.
func FuzzMoment(f *testing.F) {
	for _, text := range []string{"2026-03-02T08:30:00Z", "08:30", "23:59", "24:00", "2h", "+90m", "-2h", "0s", "", "noon", "9999999h", "2562047h47m16.854775807s", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1e9s", "\x1b[2J", "mon 08:30", "tomorrow 08:30", "2026-11-30T08:00 Europe/Berlin", "2026-11-30 08:00", "1d12h"} {
		f.Add(text, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		now := time.Unix(seconds%253402300800, 0)
		to, _, errTo := ahead(text, now)
		from, errFrom := past(text, now)
		if _, full := fullTime(text); full {
			if errTo != nil || errFrom != nil || !to.Equal(from) {
				t.Errorf("%q is %v (%v) and %v (%v)", text, to, errTo, from, errFrom)
			}
			return
		}
		if w, err := readWritten(text, now, ""); err == nil && w.date != nil {
			return
		}
		if errTo == nil && to.Before(now) {
			t.Errorf("%q ahead of %v is %v", text, now, to)
		}
		if errFrom == nil && from.After(now) {
			t.Errorf("%q before %v is %v", text, now, from)
		}
		for _, err := range []error{errTo, errFrom} {
			if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// FuzzCommandFirst checks that arguments are moved, never lost or invented, and that
// moving them again changes nothing.
func FuzzCommandFirst(f *testing.F) {
	for _, args := range []string{"", "start lab ws-1", "--json start lab ws-1 --reason x", "--db x --json ls", "--db=x ls", "-h", "-- start", "--reason -- start", "--nothing start", "-\n-- --"} {
		f.Add(args)
	}
	root := newTool(io.Discard, io.Discard).commands()
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, " ")
		got := commandFirst(root, slices.Clone(args))
		if again := commandFirst(root, slices.Clone(got)); len(got) > 0 && !strings.HasPrefix(got[0], "-") && !slices.Equal(again, got) {
			t.Errorf("%q becomes %q, and that %q", args, got, again)
		}
		slices.Sort(args)
		sorted := slices.Clone(got)
		slices.Sort(sorted)
		if !slices.Equal(args, sorted) {
			t.Errorf("%q becomes %q", args, got)
		}
	})
}
