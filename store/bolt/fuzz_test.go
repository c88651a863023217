package bolt

import (
	"bytes"
	"encoding/binary"
	"os"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
)

// The parsers of this package read what a disk gives. The checksums, which would
// keep the fuzzer out, are right in all that they get here.

// FuzzOperation: what is read as an operation is written as one that reads the
// same.
func FuzzOperation(f *testing.F) {
	for _, o := range goldenAllOps() {
		key, _ := parseID(o.ID)
		_, record, err := encodeOperation(key, &o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record[:len(record)-sumSize])
	}
	key := rowID{1, 2, 3}
	f.Fuzz(func(t *testing.T, v []byte) {
		o, err := decodeOperation(key, seal(key[:], bytes.Clone(v)))
		if err != nil {
			return
		}
		h, _, err := decodeHead(v)
		if err != nil || h.phase != o.Phase || h.lane != o.Lane || h.version != o.Version || h.sent != o.Sent {
			t.Fatalf("the head reads as %+v, %v, the whole as %+v", h, err, o)
		}
		_, again, err := encodeOperation(key, &o)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", o, err)
		}
		back, err := decodeOperation(key, again)
		normalize(&back)
		normalize(&o)
		if err != nil || !reflect.DeepEqual(back, o) {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", o, back, err)
		}
	})
}

// FuzzEvent: an event holds its number and its place whatever is in it, and what
// can be read of it can be written.
func FuzzEvent(f *testing.F) {
	for _, o := range goldenAllOps() {
		e := driver.Created(&o)
		key, _ := parseID(o.ID)
		text, err := encodeEvent(key, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint64(7), text)
	}
	f.Add(uint64(1), lostEvent())
	f.Fuzz(func(t *testing.T, seq uint64, text []byte) {
		l := link{1, 2, 3}.next(seq, text)
		sealed := sealEvent(seq, l, text)
		e, err := decodeEvent([16]byte{9}, seq, sealed)
		if e.Seq != seq || e.Cursor != makeCursor([16]byte{9}, seq, l) {
			t.Fatalf("it does not hold its place: %+v", e)
		}
		if err != nil || e.Reason == store.ReasonCorrupt {
			if e.Operation != "" || e.Reason != store.ReasonCorrupt {
				t.Fatalf("%v, and it tells of something: %+v", err, e)
			}
			return
		}
		key, _ := parseID(e.Operation)
		again, err := encodeEvent(key, &e)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", e, err)
		}
		back, err := decodeEvent([16]byte{9}, seq, sealEvent(seq, l, again))
		if err != nil || back != e {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", e, back, err)
		}
		sealed[len(sealed)/2] ^= 1
		if _, err := decodeEvent([16]byte{9}, seq, sealed); err == nil {
			t.Fatal("a flipped bit is not seen")
		}
	})
}

// FuzzCursor: a text that is a cursor is the only one of its place.
func FuzzCursor(f *testing.F) {
	f.Add(string(makeCursor([16]byte{1, 2, 3}, 42, link{4, 5})))
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseCursor(store.Cursor(text))
		if !ok {
			return
		}
		var id [16]byte
		var l link
		copy(id[:], p.store[:])
		copy(l[:], p.link[:])
		if again := makeCursor(id, p.seq, l); string(again) != text {
			t.Fatalf("%q and %q are one place", text, again)
		}
	})
}

// FuzzLane: as FuzzOperation.
func FuzzLane(f *testing.F) {
	text, err := cbor.Marshal(laneBody{Paused: true, PausedBy: "mo", PausedAt: 1, RetryAfter: 2, RetryAfterHeard: 3, Pace: 4, ThrottledAt: 5})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		key := []byte("lane")
		l, err := decodeLane(key, seal(key, bytes.Clone(text)))
		if err != nil {
			return
		}
		again, err := cbor.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeLane(key, seal(key, again)); err != nil || back != l {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", l, back, err)
		}
	})
}

// FuzzPage: what the walk of a whole tree reads on a page, a sweep of the pages
// reads too, and what it gropes for as well. Neither reads beyond it.
func FuzzPage(f *testing.F) {
	const size = 4096
	for _, name := range []string{golden, goldenAll} {
		data := goldenBytes(f, name)
		for at := 2 * size; at+size <= len(data); at += size {
			f.Add(data[at : at+size])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		page := make([]byte, size)
		copy(page, data)
		binary.NativeEndian.PutUint64(page, 2) // else the walk looks no further
		binary.NativeEndian.PutUint32(page[12:], 0)
		img := snapshot{data: append(make([]byte, 2*size), page...), pageSize: size}
		m := &boltMeta{pageSize: size, root: 2, freelist: noFreelist, pages: 3}

		strict := map[string]bool{}
		w := newWalk(bytes.NewReader(img.data), m)
		w.visit = func(_ string, key, value []byte) error {
			strict[string(key)+"\x00\x00"+string(value)] = true
			return nil
		}
		whole := w.bucket(2, 0) == nil
		loose := map[string]bool{}
		var note func(flags uint32, key, value []byte)
		note = func(flags uint32, key, value []byte) {
			loose[string(key)+"\x00\x00"+string(value)] = true
			if flags&bucketFlag != 0 && len(value) > bucketHeader {
				loosely(value[bucketHeader:], len(value), note)
			}
		}
		loosely(img.from(2), size, note)
		for pair := range strict {
			if whole && !loose[pair] {
				t.Fatalf("the walk reads %q, and the sweep does not", pair)
			}
		}

		swept, groped := newHarvest(), newHarvest()
		loosely(img.from(2), size, (&sweeper{h: swept, trust: sure}).element)
		(&sweeper{h: groped, trust: sure}).grope(img.from(2), size)
		for key := range swept.ops {
			if _, ok := groped.ops[key]; !ok {
				t.Fatalf("operation %s is not found by its form", key.id())
			}
		}
		for seq := range swept.events {
			if _, ok := groped.events[seq]; !ok {
				t.Fatalf("event %d is not found by its form", seq)
			}
		}
	})
}

func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
