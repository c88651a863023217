package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/store"
)

// ErrNewer means that a newer version of this package wrote the file.
var ErrNewer = errors.New("bolt: database has a newer schema")

// CorruptError says which part of a file is damaged. It wraps store.ErrCorrupt.
type CorruptError struct {
	Path   string
	Bucket string // empty if the damage is below the records
	Key    string // for people; empty if Bucket is
	Detail string

	stuck bool // the fault left bbolt's locks held
}

func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bolt: %s is damaged", e.Path)
	if e.Bucket != "" {
		fmt.Fprintf(&b, " in bucket %q", e.Bucket)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, " at key %q", e.Key)
	}
	fmt.Fprintf(&b, ": %s: run rouse check --db %q to see what is damaged, and rouse repair to repair it", e.Detail, e.Path)
	return b.String()
}

// Unwrap returns store.ErrCorrupt.
func (e *CorruptError) Unwrap() error { return store.ErrCorrupt }
