package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// pages reads all pages of a studio's sessions, and returns the ids of each.
func (b *bench) pages() (all [][]string) {
	b.Helper()
	for token := ""; ; {
		page, err := b.SessionsPage(b.Context(), "studio", token)
		if err != nil {
			b.Fatal(err)
		}
		var ids []string
		for _, s := range page.Sessions {
			ids = append(ids, s.Session.SessionID)
		}
		all = append(all, ids)
		if token = page.Next; token == "" {
			return all
		}
	}
}

// TestSessionsPageOfTheProvider follows the provider's page tokens.
func TestSessionsPageOfTheProvider(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		l := &endlessList{Transport: &stale{}}
		l.next = func(n int) string {
			if n == 3 {
				return ""
			}
			return fmt.Sprint("page ", n)
		}
		b.close()
		b.open(l)
		if got, want := fmt.Sprint(b.pages()), "[[ws-1] [ws-2] [ws-3]]"; got != want {
			b.Errorf("the pages are %s, want %s", got, want)
		}
	})
}

// TestSessionsPageOfTheStore pages through more sessions than one page has, where the
// provider cannot be reached. A session with several operations is listed once.
func TestSessionsPageOfTheStore(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{}, func(b *bench) {
		const n = storedSessions + 20
		for i := range n {
			b.start(fmt.Sprint("ws-", i))
		}
		for i := range 30 {
			id := b.start(fmt.Sprint("ws-", i))
			if _, err := b.Cancel(b.Context(), id, "ann"); err != nil {
				b.Fatal(err)
			}
			b.start(fmt.Sprint("ws-", i))
		}
		b.studio.SetOffline(true)
		pages := b.pages()
		if len(pages) != 2 || len(pages[0]) != storedSessions {
			b.Fatalf("%d pages, and %d sessions on the first", len(pages), len(pages[0]))
		}
		all := slices.Concat(pages...)
		slices.Sort(all)
		if once := slices.Compact(slices.Clone(all)); len(once) != n || len(all) != n {
			b.Errorf("%d sessions, %d of them once; want %d", len(all), len(once), n)
		}
		for _, token := range []string{"stored:x", "page 2", "live"} {
			if _, err := b.SessionsPage(b.Context(), "studio", token); !errors.Is(err, transport.KindInvalid) {
				b.Errorf("token %q: %v", token, err)
			}
		}
	})
}
