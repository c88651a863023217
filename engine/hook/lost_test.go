package hook

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport/studio"
)

// prune removes all but the newest events.
func (b *bench) prune(events int) {
	b.Helper()
	if _, err := b.db.Prune(b.Context(), store.Retention{Events: events}); err != nil {
		b.Fatal(err)
	}
}

// TestPrunedEvents: a hook whose next events were pruned says so, once, and goes on with
// the first that is left. What is said is tried again as any delivery.
func TestPrunedEvents(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		refuse := true
		f, h := &fake{answer: func(message) error {
			if refuse {
				return errRefused
			}
			return nil
		}}, Hook{Name: "chat", On: []Topic{TopicCanceled}}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		for i := range 10 {
			b.cancel(numbered(i)) // two events each
		}
		b.after(10 * time.Minute)
		b.prune(5)
		b.after(10 * time.Minute)
		end()
		b.restart()
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(10 * time.Minute)
		refuse = false
		b.after(10 * time.Minute)
		got := f.want(b.T, "lost", "canceled ws-007", "canceled ws-008", "canceled ws-009")
		if len(got) > 0 && !strings.Contains(got[0].Text, "those before number 16 were pruned before hook chat got them") {
			t.Errorf("%q", got[0].Text)
		}
		b.cancel("last")
		b.after(time.Second)
		f.want(b.T, "canceled last")
		end()
	})
}

// TestPrunedEventsThatDoNotConcern: a hook that is up to date loses nothing, although
// no event of the pruned ones was for it.
func TestPrunedEventsThatDoNotConcern(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicFailed}}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		for i := range 10 {
			b.cancel(numbered(i))
		}
		b.after(2 * time.Minute)
		end()
		b.prune(1)
		b.restart()
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(time.Minute)
		f.want(b.T)
		end()
	})
}

// TestRestoredBackup: in a database that was restored from a backup, a hook says that
// events may be lost. It does not repeat those that it had delivered.
func TestRestoredBackup(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicCanceled}}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("old")
		b.after(time.Second)
		old := f.want(b.T, "canceled old")[0].ID
		end()
		backup := b.path + ".backup"
		if err := b.engine.Backup(b.Context(), backup); err != nil {
			t.Fatal(err)
		}
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("gone")
		b.after(time.Minute)
		f.want(b.T, "canceled gone")
		end()
		kept, err := b.db.Records(b.Context(), recordKind)
		if err != nil || len(kept) != 1 {
			t.Fatal(kept, err)
		}

		b.close()
		if err := os.Rename(backup, b.path); err != nil {
			t.Fatal(err)
		}
		b.open()
		b.cancel("new")
		end = b.goHooks(map[string]*fake{"chat": f}, h) // it stopped where the backup was made
		b.after(time.Second)
		if got := f.want(b.T, "lost", "canceled new"); len(got) == 2 && got[1].ID == old {
			t.Error("the id of another event came again")
		}
		end()
		if err := b.db.PutRecord(b.Context(), kept[0]); err != nil { // it stopped later, in the feed that is gone
			t.Fatal(err)
		}
		b.after(time.Minute)
		b.cancel("newer")
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(time.Second)
		got := f.want(b.T, "lost", "canceled new", "canceled newer")
		if len(got) > 0 && !strings.Contains(got[0].Text, "the database is not the one that hook chat followed") {
			t.Errorf("%q", got[0].Text)
		}
		end()
		b.goHooks(map[string]*fake{"chat": f}, h)()
		f.want(b.T)
	})
}

// TestForeignStore: on another machine hooks wait until the store is adopted.
func TestForeignStore(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicCanceled}}
		b.machine = "farm-03"
		b.restart()
		b.goHooks(map[string]*fake{"chat": f}, h)()
		b.cancel("theirs")
		b.machine = "farm-07"
		b.restart()
		if s, err := b.db.Stats(b.Context()); err != nil || s.Foreign == nil {
			t.Fatalf("it is no foreign store: %v", err)
		}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(time.Hour)
		f.want(b.T)
		if err := b.engine.Adopt(b.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		f.want(b.T, "canceled theirs")
		end()
		b.machine = "farm-09"
		b.restart()
		b.goHooks(map[string]*fake{"chat": f}, h)() // ends at once
	})
}

// TestPrunedOperation: an event reports the end of an operation that was pruned.
func TestPrunedOperation(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		refuse := true
		f := &fake{answer: func(message) error {
			if refuse {
				return errRefused
			}
			return nil
		}}
		end := b.goHooks(map[string]*fake{"chat": f}, Hook{Name: "chat", On: []Topic{TopicCanceled}})
		b.cancel("ws-1")
		b.after(time.Hour)
		if _, err := b.db.Prune(b.Context(), store.Retention{EndedSince: time.Now()}); err != nil {
			t.Fatal(err)
		}
		refuse = false
		b.after(time.Hour)
		if got := f.want(b.T, "canceled ws-1"); len(got) == 1 && (got[0].Operation != nil || got[0].Text != "lab/ws-1 CANCELED (canceled)") {
			t.Errorf("%+v", got[0])
		}
		end()
	})
}
