package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

func TestBackup(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	for i := range 20 {
		put(t, s, numbered(i))
	}
	record := store.Record{Kind: "keep", Name: "a", Value: []byte("a small record")}
	if err := s.PutRecord(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	head, _ := s.Head(t.Context())
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), copied); !errors.Is(err, fs.ErrExist) {
		t.Errorf("to a file that exists: %v, want fs.ErrExist", err)
	}
	put(t, s, "later")
	if n := clean(t, s); n != 21 {
		t.Errorf("the original has %d operations, want 21", n)
	}

	c := openTest(t, copied, Config{noSync: true})
	all, err := listed(t.Context(), c)
	if err != nil || len(all) != 20 {
		t.Fatalf("the copy has %d operations, %v, want 20", len(all), err)
	}
	for session, o := range all {
		if o.Sent != store.SentUnknown || o.Version != 2 {
			t.Errorf("%s: sent %s, version %d: it counts as never sent", session, o.Sent, o.Version)
		}
	}
	if got, err := c.Records(t.Context(), "keep"); err != nil || !reflect.DeepEqual(got, []store.Record{record}) {
		t.Errorf("the copy's small records: %v, %v, want %v", got, err, record)
	}
	var ce *store.CursorError
	if _, err := c.Events(t.Context(), head, 9); !errors.As(err, &ce) || !ce.Forked {
		t.Errorf("the original's cursor: %v, want it to be of another feed", err)
	}
	mine, _ := s.Stats(t.Context())
	its, _ := c.Stats(t.Context())
	if mine.StoreID == its.StoreID {
		t.Error("the copy has the original's id")
	}
	// The copy is a store of its own from here on. Opening it again changes nothing.
	copyHead, _ := c.Head(t.Context())
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openTest(t, copied, Config{noSync: true})
	if again, _ := c.Stats(t.Context()); again.StoreID != its.StoreID {
		t.Error("it takes a new id at every opening")
	}
	if _, err := c.Events(t.Context(), copyHead, 9); err != nil {
		t.Errorf("its own cursor: %v", err)
	}
	clean(t, c)
	put(t, c, "later")
}

// TestBackupDoesNotKnowTheLastSend checks that the copy forgets the last send: the original
// may have sent again after the backup was made.
func TestBackupDoesNotKnowTheLastSend(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	o := testOp("sent")
	o.Sent, o.SentUp, o.CreatedUp = store.SentUnknown, store.Uptime{Boot: 1, At: 2}, store.Uptime{Boot: 1, At: 1}
	if _, err := s.Enqueue(t.Context(), []store.Operation{o}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	c := openTest(t, copied, Config{noSync: true})
	got, err := c.Operation(t.Context(), o.ID)
	if err != nil || got.SentUp.Boot != 0 || got.CreatedUp.Boot != 1 || got.Version != 2 {
		t.Errorf("in the copy it was sent at %v and made at %v, version %d, %v", got.SentUp, got.CreatedUp, got.Version, err)
	}
	clean(t, c)
}

// TestBackupOfABusyStore makes a backup while operations begin and end. The copy holds what
// was acknowledged before the backup began, is sound, and blocks no call.
func TestBackupOfABusyStore(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	var mu sync.Mutex
	acked := map[store.ID]bool{}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				o := testOp(fmt.Sprint(w, "-", n))
				rs, err := s.Enqueue(t.Context(), []store.Operation{o})
				if err != nil {
					t.Errorf("while a backup is made: %v", err)
					return
				}
				mu.Lock()
				acked[o.ID] = true
				mu.Unlock()
				if o = rs[0].Operation; n%2 == 0 {
					o.Phase, o.FinishedAt = fsm.PhaseCanceled, testTime()
					if errs, err := s.Apply(t.Context(), []store.Change{{Operation: o}}); errors.Join(append(errs, err)...) != nil {
						t.Errorf("while a backup is made: %v, %v", errs, err)
						return
					}
				}
			}
		})
	}
	for i := range 4 {
		var before map[store.ID]bool
		for len(before) < 200*(i+1) {
			mu.Lock()
			before = maps.Clone(acked)
			mu.Unlock()
		}
		copied := filepath.Join(t.TempDir(), "copy.db")
		if err := s.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		c := openTest(t, copied, Config{noSync: true})
		for id := range before {
			if _, err := c.Operation(t.Context(), id); err != nil {
				t.Errorf("backup %d: %s was acknowledged before: %v", i, id, err)
			}
		}
		if n := clean(t, c); n < len(before) {
			t.Errorf("backup %d has %d operations, and %d were acknowledged before", i, n, len(before))
		}
	}
	stop()
	work.Wait()
	if n := clean(t, s); n != len(acked) {
		t.Errorf("%d operations, and %d were acknowledged", n, len(acked))
	}
}

// TestBackupFails checks that a backup that fails leaves nothing.
func TestBackupFails(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	bad := put(t, s, "bad")
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, filepath.Join(folder, "copy.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := s.Backup(t.Context(), filepath.Join(folder, "no such folder", "copy.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no folder: %v", err)
	}
	key, _ := format.ParseID(bad.ID)
	if err := s.commit(t.Context(), 1, func(b *batch) error { return b.Ops.Put(key[:], []byte("corrupt")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), filepath.Join(folder, "copy.db")); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("of a damaged store: %v, want ErrCorrupt", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBackupAfterAKilledOne checks that the next backup to the same file removes what a
// killed one left next to it, and nothing else. It leaves what another backup is writing,
// and files with similar names.
func TestBackupAfterAKilledOne(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	put(t, s, "ws-1")
	folder := t.TempDir()
	copied := filepath.Join(folder, "copy.db")
	for _, name := range []string{"copy.db.temp-1", "copy.db.temp-3x", "copy.db.temporary"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("half a page"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "copy.db.temp-5"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []bool{false, true} {
		leave := func() {}
		if !gone { // another process is making a backup there
			leave = enter(filepath.Join(folder, "other.db"))
		}
		_ = os.Remove(copied)
		if err := s.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		leave()
		want := []string{"copy.db", "copy.db.temp-1", "copy.db.temp-3x", "copy.db.temp-5", "copy.db.temporary"}
		if gone {
			want = slices.Delete(want, 1, 2)
		}
		var left []string
		entries, err := os.ReadDir(folder)
		for _, e := range entries {
			left = append(left, e.Name())
		}
		if err != nil || !slices.Equal(left, want) {
			t.Errorf("left are %q, %v, want %q", left, err, want)
		}
	}
	clean(t, openTest(t, copied, Config{noSync: true}))
}

// TestBackupsAtOnce makes several backups to one file at the same time. One succeeds and is
// sound, and the others return why they failed.
func TestBackupsAtOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	for i := range 200 {
		put(t, s, numbered(i))
	}
	folder := t.TempDir()
	for i := range 20 {
		copied := filepath.Join(folder, fmt.Sprint(i, ".db"))
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { errs <- s.Backup(t.Context(), copied) }()
		}
		made := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				made++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v, want fs.ErrExist", err)
			}
		}
		if made != 1 {
			t.Errorf("%d backups succeeded, want one", made)
		}
		if n := clean(t, openTest(t, copied, Config{noSync: true})); n != 200 {
			t.Errorf("the backup has %d operations, want 200", n)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*.temp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
