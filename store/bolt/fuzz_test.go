package bolt

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/driver"
)

// The parsers of this package read what a disk returns. All inputs here have right
// checksums, because wrong ones would stop the fuzzer at the first check.

// FuzzOperation checks that a record that can be read as an operation is written back as a
// record that reads the same.
func FuzzOperation(f *testing.F) {
	for _, o := range goldenAllOps() {
		key, _ := format.ParseID(o.ID)
		_, record, err := format.EncodeOperation(key, &o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record[:len(record)-format.SumSize])
	}
	key := format.RowID{1, 2, 3}
	f.Fuzz(func(t *testing.T, v []byte) {
		o, err := format.DecodeOperation(key, format.Seal(key[:], bytes.Clone(v)))
		if err != nil {
			return
		}
		h, _, err := format.DecodeHead(v)
		if err != nil || h.Phase != o.Phase || h.Lane != o.Lane || h.Version != o.Version || h.Sent != o.Sent {
			t.Fatalf("the head reads as %+v, %v, the whole as %+v", h, err, o)
		}
		_, again, err := format.EncodeOperation(key, &o)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", o, err)
		}
		back, err := format.DecodeOperation(key, again)
		format.Normalize(&back)
		format.Normalize(&o)
		if err != nil || !reflect.DeepEqual(back, o) {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", o, back, err)
		}
	})
}

// FuzzEvent checks that an event keeps its number and its place whatever its record holds.
// What can be read of it can be written.
func FuzzEvent(f *testing.F) {
	for _, o := range goldenAllOps() {
		e := driver.Created(&o)
		key, _ := format.ParseID(o.ID)
		text, err := format.EncodeEvent(key, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint64(7), text)
	}
	f.Add(uint64(1), format.LostEvent())
	f.Fuzz(func(t *testing.T, seq uint64, text []byte) {
		l := format.Link{1, 2, 3}.Next(seq, text)
		sealed := format.SealEvent(seq, l, text)
		e, err := format.DecodeEvent([16]byte{9}, seq, sealed)
		if e.Seq != seq || e.Cursor != format.MakeCursor([16]byte{9}, seq, l) {
			t.Fatalf("it does not keep its place: %+v", e)
		}
		if err != nil || e.Reason == store.ReasonCorrupt {
			if e.Operation != "" || e.Reason != store.ReasonCorrupt {
				t.Fatalf("%v, but the event has content: %+v", err, e)
			}
			return
		}
		key, _ := format.ParseID(e.Operation)
		again, err := format.EncodeEvent(key, &e)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", e, err)
		}
		back, err := format.DecodeEvent([16]byte{9}, seq, format.SealEvent(seq, l, again))
		if err != nil || back != e {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", e, back, err)
		}
		sealed[len(sealed)/2] ^= 1
		if _, err := format.DecodeEvent([16]byte{9}, seq, sealed); err == nil {
			t.Fatal("a flipped bit is not detected")
		}
	})
}

// FuzzCursor checks that each place has only one text that is a cursor.
func FuzzCursor(f *testing.F) {
	f.Add(string(format.MakeCursor([16]byte{1, 2, 3}, 42, format.Link{4, 5})))
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := format.ParseCursor(store.Cursor(text))
		if !ok {
			return
		}
		var id [16]byte
		var l format.Link
		copy(id[:], p.Store[:])
		copy(l[:], p.Link[:])
		if again := format.MakeCursor(id, p.Seq, l); string(again) != text {
			t.Fatalf("%q and %q are the same place", text, again)
		}
	})
}

// FuzzLane is FuzzOperation for lanes.
func FuzzLane(f *testing.F) {
	text, err := cbor.Marshal(format.LaneBody{Paused: true, PausedBy: "mo", PausedAt: 1, RetryAfter: 2, RetryAfterHeard: 3, Pace: 4, ThrottledAt: 5})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		key := []byte("lane")
		l, err := format.DecodeLane(key, format.Seal(key, bytes.Clone(text)))
		if err != nil {
			return
		}
		again, err := cbor.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := format.DecodeLane(key, format.Seal(key, again)); err != nil || back != l {
			t.Fatalf("it reads as %+v, is written, and reads as %+v, %v", l, back, err)
		}
	})
}
