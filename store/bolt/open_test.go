package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestRefusedFiles opens files that are no database, or are damaged. Open returns a clear
// error and does not change them.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T, path string) []byte {
		s := openTest(t, path, Config{noSync: true})
		for i := range 50 {
			put(t, s, numbered(i))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(t *testing.T, path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
		says string
	}{
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, disk.ErrForeign, "directory"},
		{"an empty file", func(t *testing.T, path string) { write(t, path, nil) }, disk.ErrForeign, "empty"},
		{"a short text", func(t *testing.T, path string) { write(t, path, []byte("hello")) }, disk.ErrForeign, "is no database"},
		{"a long text", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("hello "), 1<<16)) }, disk.ErrForeign, "is no database"},
		{"another program's bbolt file", func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err == nil {
				err = errors.Join(db.Update(func(tx *bbolt.Tx) error {
					_, err := tx.CreateBucket([]byte("theirs"))
					return err
				}), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, disk.ErrForeign, "another program"},
		{"cut in half", func(t *testing.T, path string) {
			write(t, path, whole(t, path)[:32<<10]) // in the middle of a used part
		}, store.ErrCorrupt, "its end is cut off"},
		{"cut after the first page", func(t *testing.T, path string) { write(t, path, whole(t, path)[:4096]) }, store.ErrCorrupt, "its end is cut off"},
		{"both first pages damaged", func(t *testing.T, path string) {
			data := whole(t, path)
			data[16+48] ^= 1
			data[os.Getpagesize()+16+48] ^= 1
			write(t, path, data)
		}, store.ErrCorrupt, "first pages"},
		{"no list of free pages", func(t *testing.T, path string) {
			data := whole(t, path)
			metas, _, err := format.ReadMetas(bytes.NewReader(data))
			if err != nil || len(metas) != 2 {
				t.Fatalf("%d first pages, %v", len(metas), err)
			}
			for i := range 2 {
				m := data[i*int(metas[0].PageSize)+format.PageHeader:][:format.MetaSize]
				binary.NativeEndian.PutUint64(m[32:], format.NoFreelist)
				h := fnv.New64a()
				_, _ = h.Write(m[:format.MetaSum])
				binary.NativeEndian.PutUint64(m[format.MetaSum:], h.Sum64())
			}
			write(t, path, data)
		}, store.ErrCorrupt, "list of free pages is missing"},
		{"read-only", func(t *testing.T, path string) {
			whole(t, path)
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
		}, disk.ErrReadOnly, "mode"},
		{"a newer schema", func(t *testing.T, path string) {
			whole(t, path)
			setSchema(t, path, format.Schema+1)
		}, format.ErrNewer, "schema " + strconv.Itoa(format.Schema+1)},
		{"a schema that is no number", func(t *testing.T, path string) {
			whole(t, path)
			edit(t, path, func(b *format.Writer) error { b.PutMeta(format.MetaSchema, []byte("one")); return nil })
		}, store.ErrCorrupt, `"one" is no schema`},
		{"a damaged schema", func(t *testing.T, path string) {
			whole(t, path)
			flipBit(t, path, format.BucketMeta, []byte(format.MetaSchema))
		}, store.ErrCorrupt, `bucket "meta" at key "schema"`},
		{"no store id", func(t *testing.T, path string) {
			whole(t, path)
			edit(t, path, func(b *format.Writer) error { return b.Meta.Delete([]byte(format.MetaID)) })
		}, store.ErrCorrupt, "id is missing"},
		{"a pruned sequence of the wrong length", func(t *testing.T, path string) {
			whole(t, path)
			edit(t, path, func(b *format.Writer) error { b.PutMeta(format.MetaPruned, []byte("12")); return nil })
		}, store.ErrCorrupt, "wrong length"},
		{"no bucket of lanes", func(t *testing.T, path string) {
			whole(t, path)
			db, err := bbolt.Open(path, 0o600, nil)
			if err == nil {
				err = errors.Join(format.Inside(path, db, true, func(tx *bbolt.Tx) error {
					return tx.DeleteBucket([]byte(format.BucketLanes))
				}), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, store.ErrCorrupt, `bucket "lanes": the bucket is missing`},
		{"a damaged store id", func(t *testing.T, path string) {
			whole(t, path)
			flipBit(t, path, format.BucketMeta, []byte(format.MetaID))
		}, store.ErrCorrupt, `bucket "meta" at key "id"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			for range 2 {
				s, err := Open(path, Config{})
				if err == nil {
					_ = s.Close()
				}
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v that names the file and says %q", err, c.want, c.says)
				}
				var ce *format.CorruptError
				if errors.As(err, &ce) && !strings.Contains(err.Error(), "rouse check") {
					t.Errorf("%v does not say what to run", err)
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func setSchema(t *testing.T, path string, n int) {
	t.Helper()
	edit(t, path, func(b *format.Writer) error { b.PutMeta(format.MetaSchema, []byte(strconv.Itoa(n))); return nil })
}

// edit changes a closed file without the package's checks, as a program with a bug would.
// The file's note stays right.
func edit(t *testing.T, path string, fn func(b *format.Writer) error) {
	t.Helper()
	editRaw(t, path, func(b *format.Writer) error { defer b.NoteAll(); return fn(b) })
}

// spoil changes a closed file as a disk may: the file's note stays as it was.
func spoil(t *testing.T, path string, fn func(b *format.Writer) error) {
	t.Helper()
	editRaw(t, path, func(b *format.Writer) error { defer format.NoteCommit(b.Tx); return fn(b) })
}

func editRaw(t *testing.T, path string, fn func(b *format.Writer) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		var err error
		return errors.Join(format.Writing(func(w *format.Writer) { err = fn(w) })(tx), err)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// flipBit flips a bit of one value.
func flipBit(t *testing.T, path, bucket string, key []byte) {
	t.Helper()
	edit(t, path, func(b *format.Writer) error {
		bkt := b.Tx.Bucket([]byte(bucket))
		v := append([]byte(nil), bkt.Get(key)...)
		v[len(v)/2] ^= 4
		return bkt.Put(key, v)
	})
}

func TestNewFile(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state", "rouse")
	path := filepath.Join(folder, "rouse.db")
	s := openTest(t, path, Config{})
	put(t, s, "a")
	if err := s.Backup(t.Context(), filepath.Join(folder, "copy.db")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, want 0600", e.Name(), info.Mode().Perm())
		}
	}
	if got := strings.Join(names, " "); got != "copy.db rouse.db rouse.db.lock" {
		t.Errorf("the folder holds %s", got)
	}
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %s, want 0700", info.Mode().Perm())
	}
}

// TestLeftovers checks that an unfinished file of a crash is removed, and nothing else.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	other := filepath.Join(filepath.Dir(path), "other.db"+disk.TempInfix+"1")
	for _, name := range []string{path + disk.TempInfix + "123", other} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(t, openTest(t, path, Config{noSync: true}), "a")
	if _, err := os.Stat(path + disk.TempInfix + "123"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another database's: %v", err)
	}
}

func TestLockedByThisProcess(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	for _, timeout := range []time.Duration{-1, time.Millisecond} {
		_, err := Open(path, Config{LockTimeout: timeout})
		var le *disk.LockedError
		if !errors.Is(err, disk.ErrLocked) || !errors.As(err, &le) || le.PID != os.Getpid() || le.Path != path || le.Since.IsZero() || le.Program == "" {
			t.Errorf("a second Open: %v (%+v)", err, le)
		}
	}
	// An Open that waits gets the lock when the holder ends it.
	go func() { _ = s.Close() }()
	openTest(t, path, Config{LockTimeout: time.Minute, noSync: true})
}

// TestLockedByAnotherProgram uses a program that ignores the lock file and locks the
// database itself, as bbolt's own tools do.
func TestLockedByAnotherProgram(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	theirs, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Config{}); !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want ErrLocked", err)
	}
	if _, err := repair.Check(t.Context(), path, repair.CheckConfig{}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("Check: %v, want ErrLocked", err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if n := clean(t, openTest(t, path, Config{noSync: true})); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
}

// TestCompaction checks that a mostly free file shrinks when it is opened.
func TestCompaction(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	const n = 20_000
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = testOp(numbered(i))
		ops[i].Reason = strings.Repeat("because ", 20)
	}
	if _, err := s.Enqueue(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	changes := make([]store.Change, 0, n)
	for i, o := range ops {
		if i%100 == 0 {
			continue
		}
		o.Version, o.Phase, o.FinishedAt = 1, fsm.PhaseCanceled, testTime()
		changes = append(changes, store.Change{Operation: o})
	}
	if _, err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), store.Retention{EndedSince: testTime().Add(1), Events: 10}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.FreeBytes < before.Bytes/2 || before.FreeBytes > before.Bytes {
		t.Errorf("only %d of %d bytes are free", before.FreeBytes, before.Bytes)
	}
	head, _ := s.Head(t.Context())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path, Config{noSync: true})
	after, err := s.Stats(t.Context())
	if err != nil || after.Bytes > before.Bytes/4 || after.StoreID != before.StoreID {
		t.Errorf("%d bytes were %d, %v", after.Bytes, before.Bytes, err)
	}
	if n := clean(t, s); n != 200 {
		t.Errorf("%d operations, want 200", n)
	}
	if now, _ := s.Head(t.Context()); now != head {
		t.Errorf("head %q, want %q", now, head)
	}
	put(t, s, "after")
}

// TestLinkedFile checks that a link to the database leads to the same lock, and that
// replacing the file does not replace the link.
func TestLinkedFile(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no links here:", err)
	}
	if _, err := Open(link, Config{LockTimeout: -1}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("through the link: %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+disk.SuspectSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, link, Config{noSync: true}) // this also copies the file
	if n := clean(t, s); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
}

// TestLockedByAnUnknownProcess checks that Open still reports a locked database if it cannot
// read the lock file.
func TestLockedByAnUnknownProcess(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	if e := disk.LockedBy(path); !errors.Is(e, disk.ErrLocked) || e.PID != 0 || !strings.Contains(e.Error(), path) {
		t.Errorf("%v", e)
	}
}
