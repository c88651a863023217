package bolt

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// TestRepairRecords repairs damage that no page shows: corrupt records, and rows that point
// to the wrong record.
func TestRepairRecords(t *testing.T) {
	t.Parallel()
	data, want := sample(t, 100)
	var some store.Operation // active, with a token of its own
	for _, e := range want.events {
		if o := want.ops[e.Operation]; o.ClientToken != string(o.ID) && o.Active() {
			some = o
		}
	}
	var later []byte // the row of a pending later request
	for _, e := range want.events {
		if o := want.ops[e.Operation]; o.Later.Pending() {
			later = []byte(o.Later.ID)
		}
	}
	key, _ := format.ParseID(some.ID)
	over, end := want.lastEnded()
	overKey, _ := format.ParseID(over.ID)
	last := want.events[len(want.events)-1].Seq
	for _, c := range []struct {
		name string
		do   func(b *format.Writer) error
		lost []repair.Loss // without their details
		old  bool          // old pages still hold the content of before
	}{
		{"a row of a token", func(b *format.Writer) error { return flipRow(b.Tokens, []byte(some.ClientToken)) }, nil, false},
		{"a missing token", func(b *format.Writer) error { return b.Tokens.Delete([]byte(some.ClientToken)) }, nil, false},
		{"a row of a later request", func(b *format.Writer) error { return flipRow(b.Tokens, later) }, nil, false},
		{"a missing row of a later request", func(b *format.Writer) error { return b.Tokens.Delete(later) }, nil, false},
		{"an operation", func(b *format.Writer) error { return flipRow(b.Ops, key[:]) }, []repair.Loss{{Operation: some.ID, Ref: some.Ref}}, false},
		{"a missing operation", func(b *format.Writer) error { return b.Ops.Delete(key[:]) }, []repair.Loss{{Operation: some.ID, Ref: some.Ref}, {}}, false},
		{"an event", func(b *format.Writer) error { return flipRow(b.Events, format.SeqKey(last-7)) }, []repair.Loss{{First: last - 7, Last: last - 7}}, false},
		{"the last event", func(b *format.Writer) error { return flipRow(b.Events, format.SeqKey(last)) }, []repair.Loss{{First: last, Last: last}}, false},
		{"missing events", func(b *format.Writer) error {
			return errors.Join(b.Events.Delete(format.SeqKey(last-7)), b.Events.Delete(format.SeqKey(last-6)))
		}, []repair.Loss{{First: last - 7, Last: last - 6}}, false},
		{"an old record of an operation that ended", func(b *format.Writer) error { // and no event of its end
			o := over
			o.Phase, o.Version, o.FinishedAt = fsm.PhaseQueued, o.Version-1, time.Time{}
			_, record, err := format.EncodeOperation(overKey, &o)
			return errors.Join(err, b.Ops.Put(overKey[:], record), flipRow(b.Events, format.SeqKey(end)))
		}, []repair.Loss{{First: end, Last: end}, {Operation: over.ID, Ref: over.Ref}, {}}, false},
		{"a small record", func(b *format.Writer) error { return flipRow(b.Records, format.RecordKey("clock", "")) }, []repair.Loss{{}}, false},
		{"a lane", func(b *format.Writer) error { return flipRow(b.Lanes, []byte("lab")) }, []repair.Loss{{Lane: "lab"}}, false},
		{"an event that an old page has", func(b *format.Writer) error { return flipRow(b.Events, format.SeqKey(last-7)) }, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := writeTemp(t, data)
			spoil(t, path, c.do)
			if !c.old {
				spoil(t, path, func(*format.Writer) error { return nil }) // so that the second meta page has no earlier state
				d, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				writeAll(t, path, scrub(t, d))
			}
			r, err := repair.Repair(t.Context(), path, repair.Config{})
			if err != nil || len(r.Was.Problems) == 0 || r.Outcome.Forked != (c.lost != nil) {
				t.Fatalf("problems %v, outcome %+v, %v", r.Was.Problems, r.Outcome, err)
			}
			got := append([]repair.Loss(nil), r.Outcome.Lost...)
			for i := range got {
				got[i].Detail = ""
			}
			if !reflect.DeepEqual(got, c.lost) {
				t.Errorf("lost %v, want %v", r.Outcome.Lost, c.lost)
			}
			s := openTest(t, path, Config{noSync: true})
			now, err := contentOf(t, s)
			if err != nil {
				t.Fatal(err)
			}
			clean(t, s)
			if c.lost == nil {
				if d := now.differs(want); d != "" {
					t.Error(d)
				}
				return
			}
			checkRepaired(t, want, now, r.Outcome, 1)
			for _, l := range c.lost {
				for seq := l.First; seq != 0 && seq <= l.Last; seq++ {
					e := now.events[seq-now.events[0].Seq]
					if e.Seq != seq || e.Reason != store.ReasonCorrupt || e.Operation != "" {
						t.Errorf("in the place of event %d is %+v", seq, e)
					}
				}
			}
		})
	}
}

// lastEnded returns the operation with the latest event of an end, and that event's number.
func (c content) lastEnded() (o store.Operation, seq uint64) {
	for _, e := range c.events {
		if e.To.Ended() && e.From != e.To && !c.ops[e.Operation].FinishedAt.IsZero() {
			o, seq = c.ops[e.Operation], e.Seq
		}
	}
	return o, seq
}

// scrub returns an image without the content of old pages.
func scrub(t testing.TB, data []byte) []byte {
	t.Helper()
	data = bytes.Clone(data)
	metas, _, err := format.ReadMetas(bytes.NewReader(data))
	if err != nil || len(metas) != 2 {
		t.Fatal(err)
	}
	img := format.Image{Data: data, PageSize: int(metas[0].PageSize)}
	for id, free := range format.FindInUse(img, metas[0]).Free {
		if free && id != int(metas[0].Freelist) && id >= 2 {
			clear(data[id*img.PageSize : (id+1)*img.PageSize])
		}
	}
	return data
}

func flipRow(b *bbolt.Bucket, key []byte) error {
	v := append([]byte(nil), b.Get(key)...)
	v[len(v)/2] ^= 4
	return b.Put(key, v)
}
