package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestWalkFitsBbolt makes random puts and removals in buckets of all sizes. The walk accepts
// whatever bbolt writes, and finds exactly the pairs that are there.
func TestWalkFitsBbolt(t *testing.T) {
	t.Parallel()
	rng := scale.Rand(scale.Seed(t))
	path := testPath(t)
	db, err := format.OpenBolt(path, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	want := map[string]string{}
	most := 0
	for range scale.Of(t, 150, 400, 20_000) {
		if err := db.Update(func(tx *bbolt.Tx) error { return churn(tx, rng, want) }); err != nil {
			t.Fatal(err)
		}
		metas, _, err := format.ReadMetas(f)
		if err != nil || len(metas) != 2 {
			t.Fatalf("%d first pages, %v", len(metas), err)
		}
		if err := format.CheckPages(f, metas[0], nil); err != nil {
			t.Fatalf("the walk refuses what bbolt wrote: %v", err)
		}
		met := map[string]string{}
		w := format.NewWalk(f, metas[0])
		w.Visit = func(bucket string, key, value []byte) error {
			met[bucket+"/"+string(key)] = string(value)
			return nil
		}
		if err := w.Bucket(metas[0].Root, 0); err != nil {
			t.Fatal(err)
		}
		if err := same(met, want); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(met))
	}
	if most < 1000 {
		t.Errorf("at most %d pairs, want more", most)
	}
}

// churn changes some of three buckets: it appends, removes runs from the front as Prune
// does, and changes pairs in the middle.
func churn(tx *bbolt.Tx, rng *rand.Rand, want map[string]string) error {
	for _, name := range []string{"a", "b", "c"} {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		b.FillPercent = []float64{0.5, format.Fill}[rng.IntN(2)]
		for range rng.IntN(60) {
			next, _ := b.NextSequence()
			key := binary.BigEndian.AppendUint64(nil, next)
			if rng.IntN(4) == 0 { // somewhere in the middle
				key = binary.BigEndian.AppendUint64(nil, rng.Uint64N(next+1))
			}
			value := make([]byte, rng.IntN(400))
			if rng.IntN(50) == 0 {
				value = make([]byte, rng.IntN(20_000)) // more than a page
			}
			want[name+"/"+string(key)] = string(value)
			if err := b.Put(key, value); err != nil {
				return err
			}
		}
		if rng.IntN(4) > 0 {
			continue
		}
		c := b.Cursor()
		k, _ := c.First()
		if rng.IntN(2) == 0 {
			next, _ := b.NextSequence()
			k, _ = c.Seek(binary.BigEndian.AppendUint64(nil, rng.Uint64N(next+1)))
		}
		for n := rng.IntN(200); k != nil && n > 0; n-- {
			delete(want, name+"/"+string(k))
			if err := c.Delete(); err != nil {
				return err
			}
			k, _ = c.Next()
		}
	}
	return nil
}

func same(met, want map[string]string) error {
	if len(met) != len(want) {
		return errors.New("the walk finds pairs that are not there")
	}
	for k, v := range want {
		if met[k] != v {
			return errors.New("the walk finds another value")
		}
	}
	return nil
}

// TestDamagedPages damages a page in each way that bbolt would not detect. Check names the
// page and what is wrong with it.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	images, _ := history(t, 400)
	sound := images[len(images)-1]
	order := binary.NativeEndian
	first := func(kind uint16) uint64 { return pagesOf(t, sound, kind)[0] }
	metas, _, err := format.ReadMetas(bytes.NewReader(sound))
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(metas[0].PageSize)
	top, branch, list := metas[0].Root, first(format.PageBranch), metas[0].Freelist
	below := order.Uint64(sound[branch*size+format.PageHeader+8:]) // the page that the branch points to
	bucket := func(page []byte) []byte {                           // the first bucket in the top page
		e := page[format.PageHeader:]
		at := format.PageHeader + order.Uint32(e[4:]) + order.Uint32(e[8:])
		return page[at:]
	}
	for _, c := range []struct {
		name string
		page uint64
		do   func(page []byte)
		says string
	}{
		{"another's number", branch, func(p []byte) { order.PutUint64(p, branch+1) }, fmt.Sprintf("page %d says that it is page %d", branch, branch+1)},
		{"of no kind", branch, func(p []byte) { order.PutUint16(p[8:], 0x40) }, fmt.Sprintf("page %d is of the unexpected kind 0x40", branch)},
		{"more elements than fit", below, func(p []byte) { order.PutUint16(p[10:], 0xffff) }, fmt.Sprintf("page %d says that it holds 65535 elements", below)},
		{"no element", below, func(p []byte) { order.PutUint16(p[10:], 0) }, fmt.Sprintf("page %d does not begin with the key that points to it", below)},
		{"a branch without elements", branch, func(p []byte) { order.PutUint16(p[10:], 0) }, fmt.Sprintf("page %d", branch)},
		{"points outside of the file", branch, func(p []byte) { order.PutUint64(p[format.PageHeader+8:], 1<<40) }, fmt.Sprintf("page %d", uint64(1)<<40)},
		{"points to itself", branch, func(p []byte) { order.PutUint64(p[format.PageHeader+8:], branch) }, fmt.Sprintf("page %d", branch)},
		{"a key outside", branch, func(p []byte) { order.PutUint32(p[format.PageHeader+4:], 1<<30) }, fmt.Sprintf("page %d: an element ends outside of it", branch)},
		{"a later key outside", branch, func(p []byte) { order.PutUint32(p[format.PageHeader+format.ElementSize+4:], 1<<30) }, fmt.Sprintf("page %d: an element ends outside of it", branch)},
		{"more overflow pages than the file has", branch, func(p []byte) { order.PutUint32(p[12:], 1<<30) }, fmt.Sprintf("behind page %d", branch)},
		{"a bucket cut short", top, func(p []byte) { order.PutUint32(p[format.PageHeader+12:], format.BucketHeader-1) }, "a bucket is cut short"},
		{"a small bucket without a page", top, func(p []byte) { clear(bucket(p)[:8]); order.PutUint32(p[format.PageHeader+12:], format.BucketHeader) }, "a bucket is not a page"},
		{"more free pages than it lists", list, func(p []byte) { order.PutUint16(p[10:], 0xfffe) }, fmt.Sprintf("page %d says that it lists 65534 free pages", list)},
		{"a used page that is listed as free", list, func(p []byte) { order.PutUint16(p[10:], 1); order.PutUint64(p[format.PageHeader:], below) }, "listed as free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := bytes.Clone(sound)
			c.do(data[c.page*size:][:size])
			path := writeTemp(t, data)
			r, err := repair.Check(t.Context(), path, repair.CheckConfig{})
			if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Error(), c.says) {
				t.Errorf("Check: %v, %v, want a problem that says %q", r.Problems, err, c.says)
			}
			if _, err := Open(path, Config{noSync: true}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("Open: %v, want ErrCorrupt", err)
			}
		})
	}
}

// TestWalkStops checks that a page that cannot be read to its end is an error, and so is a
// tree that is too deep.
func TestWalkStops(t *testing.T) {
	t.Parallel()
	images, _ := history(t, 400)
	sound := images[len(images)-1]
	metas, _, err := format.ReadMetas(bytes.NewReader(sound))
	if err != nil {
		t.Fatal(err)
	}
	m, leaf := metas[0], pagesOf(t, sound, format.PageLeaf)[0]
	if err := format.NewWalk(bytes.NewReader(sound), m).Bucket(m.Root, format.MaxDepth+1); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Errorf("%v, want an error that the page is too deep", err)
	}
	size := uint64(m.PageSize)
	short := bytes.Clone(sound[:(leaf+1)*size])
	binary.NativeEndian.PutUint32(short[leaf*size+12:], 1)
	_, err = format.NewWalk(bytes.NewReader(short), m).Read(leaf, format.PageLeaf)
	if !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), fmt.Sprintf("behind page %d", leaf)) {
		t.Errorf("%v, want the end of the file behind page %d", err, leaf)
	}
}

// TestCorruptAndStale checks that a corrupt record excuses its own bucket only. Check
// still reports a stale page of another bucket and a stale root page.
func TestCorruptAndStale(t *testing.T) {
	t.Parallel()
	lane := []byte("s")
	corruptIn := func(of ...*bbolt.Bucket) error { // the byte is part of its weight
		for _, b := range of {
			k, v := b.Cursor().Last()
			v = bytes.Clone(v)
			v[len(v)-1] ^= 4
			if err := b.Put(k, v); err != nil {
				return err
			}
		}
		return nil
	}
	deleteLast := func(b *bbolt.Bucket) error {
		k, _ := b.Cursor().Last()
		return b.Delete(k)
	}
	older := func(b *format.Writer) error {
		return b.Lanes.Put(lane, format.Seal(lane, format.Encoded(format.LaneBody{})))
	}
	for _, c := range []struct {
		name string
		edit func(*testing.T, string, func(*format.Writer) error)
		do   func(b *format.Writer) error
		says string // "": it is opened
	}{
		{"corrupt records", spoil, func(b *format.Writer) error { return corruptIn(b.Ops, b.Lanes) }, ""},
		{"a stale page of another bucket", spoil, func(b *format.Writer) error { return errors.Join(corruptIn(b.Ops), older(b)) }, `"lanes" has stale pages`},
		{"a stale page of the next bucket", spoil, func(b *format.Writer) error {
			return errors.Join(corruptIn(b.Ops, b.Lanes), deleteLast(b.Events))
		}, `"events" has stale pages`},
		{"a corrupt record, and a stale last page of its own bucket", spoil, func(b *format.Writer) error {
			return errors.Join(corruptIn(b.Events), b.Events.Put(format.SeqKey(99), format.SealEvent(99, format.Link{1}, nil)))
		}, `"events" has stale pages`},
		{"a stale root page", editRaw, func(b *format.Writer) error { return corruptIn(b.Ops) }, "its root page is stale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			s := openTest(t, path, Config{noSync: true})
			put(t, s, "a")
			put(t, s, "b")
			if err := errors.Join(s.SetPaused(t.Context(), "s", true, "mo", testTime()), s.Close()); err != nil {
				t.Fatal(err)
			}
			c.edit(t, path, c.do)
			s, err := Open(path, Config{noSync: true})
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				if st, err := s.Stats(t.Context()); err != nil || st.Quarantined == 0 {
					t.Errorf("%+v, %v", st, err)
				}
				_ = s.Close()
				return
			}
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want ErrCorrupt that says %q", err, c.says)
			}
		})
	}
}

// TestTakeBounds checks that Take refuses every page number outside of the file.
func TestTakeBounds(t *testing.T) {
	t.Parallel()
	for _, r := range [][2]uint64{{0, 1}, {1, 1}, {8, 1}, {7, 2}, {math.MaxUint64, 1}, {math.MaxUint64 - 3, 8}, {2, math.MaxUint64}, {7, math.MaxUint64 - 6}} {
		if err := format.NewWalk(nil, &format.BoltMeta{Pages: 8}).Take(r[0], r[1]); err == nil {
			t.Errorf("Take accepted %d pages from page %d of eight", r[1], r[0])
		}
	}
	w := format.NewWalk(nil, &format.BoltMeta{Pages: 8})
	if err := w.Take(2, 6); err != nil || w.Take(7, 1) == nil {
		t.Errorf("six pages from page 2 of eight: %v; or the last twice", err)
	}
}
