package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Error is one mistake in settings. Its text names the place and what is allowed there.
// It never quotes what may be a secret.
type Error struct {
	File    string // the file's name; "" if the settings came from no file
	Line    int    // the line of the key, from 1; 0 if it is not known
	Key     string // as in studio."us-west-2".region, or --region; "" for the file as a whole
	Message string
}

// Error returns "file:line: key: what is wrong".
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		b.WriteString(" ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Message
}

// Errors are all mistakes in settings, in the order of the file. There is at least one,
// and errors.As finds each.
type Errors []*Error

// Error returns one line for each mistake.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// report collects mistakes.
type report struct {
	file   string
	lines  map[string]int // the lines of keys
	faults Errors
	call   time.Duration // how long a call may take; 0 if it is not set
}

func (r *report) fault(key, format string, args ...any) {
	r.faultAt(r.lines[key], key, format, args...)
}

func (r *report) faultAt(line int, key, format string, args ...any) {
	r.faults = append(r.faults, &Error{File: r.file, Line: line, Key: key, Message: fmt.Sprintf(format, args...)})
}

// err returns all mistakes that were reported, or nil.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	return slices.CompactFunc(r.faults, func(a, b *Error) bool { return *a == *b })
}
