package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestLongReason checks that a reason longer than the limit is cut between two
// characters, with a note. The start is not refused.
func TestLongReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason string
		cut    bool
	}{
		{strings.Repeat("x", maxReason), false},
		{strings.Repeat("x", maxReason+1), true},
		{strings.Repeat("ä", maxReason), true},
		{"x" + strings.Repeat("€", maxReason), true},
		{strings.Repeat("🖥", 100_000), true},
	} {
		db := filepath.Join(t.TempDir(), "rouse.db")
		var out, errOut bytes.Buffer
		got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1", "--json", "--reason", c.reason}, &out, &errOut)
		if got != 0 || strings.Contains(errOut.String(), "at most 1024 are stored: it was cut") != c.cut {
			t.Errorf("%d bytes: exit status %d: %s", len(c.reason), got, &errOut)
		}
		_, stored, _ := strings.Cut(out.String(), `"reason":"`)
		stored, _, _ = strings.Cut(stored, `"`)
		kept := strings.TrimSuffix(stored, "…")
		if !utf8.ValidString(stored) || len(stored) > maxReason || len(stored) < maxReason-utf8.UTFMax || !strings.HasPrefix(c.reason, kept) || (kept != stored) != c.cut {
			t.Errorf("%d bytes: stored are %d: %.20q", len(c.reason), len(stored), stored)
		}
	}
}

// TestLongName checks that a user's name longer than the limit is cut between two
// characters.
func TestLongName(t *testing.T) {
	t.Parallel()
	if got := cutText(strings.Repeat("ü", maxName), maxName); !utf8.ValidString(got) || len(got) > maxName {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
