package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestFork: a file is copied by hand while it is closed. Both have the same id, and each is
// changed. A follower that reads on in the other file gets an error: by the link of the
// feed if both have as many events, and by the head if the old copy has fewer.
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
	want("what both have", common, false)
	want("beyond the copy's head", ahead, true)
	put(t, c, "there")
	want("as long, and another", ahead, true)
	want("what both have, still", common, false)
}
