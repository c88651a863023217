package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestFork copies a closed file by hand, so that both files have the same id, and changes
// each. A follower that continues in the other file gets an error. If both have as many
// events, the feed's link shows it. If the old copy has fewer, its head shows it.
func TestFork(t *testing.T) {
	t.Parallel()
	path, copied := testPath(t), filepath.Join(t.TempDir(), "copied.db")
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "before")
	common, _ := s.Head(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s, c := openTest(t, path, Config{noSync: true}), openTest(t, copied, Config{noSync: true})
	put(t, s, "here")
	ahead, _ := s.Head(t.Context())
	want := func(what string, after store.Cursor, forked bool) {
		t.Helper()
		var ce *store.CursorError
		_, err := c.Events(t.Context(), after, 9)
		if got := errors.As(err, &ce) && ce.Forked; got != forked || !forked && err != nil {
			t.Errorf("%s: %v, want forked %v", what, err, forked)
		}
	}
	want("an event of both", common, false)
	want("an event beyond the copy's head", ahead, true)
	put(t, c, "there")
	want("a different feed of the same length", ahead, true)
	want("an event of both, again", common, false)
}
