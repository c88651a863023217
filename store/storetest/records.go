package storetest

import (
	"reflect"
	"strings"

	"github.com/rouse-dev/rouse/store"
)

func (e *env) wantRecords(kind string, want ...store.Record) {
	e.Helper()
	got, err := e.Records(e.ctx, kind)
	if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		e.Errorf("records of kind %q: %+v, %v, want %+v", kind, got, err, want)
	}
}

func recordsKept(e *env) {
	put := func(r store.Record) {
		if err := e.PutRecord(e.ctx, r); err != nil {
			e.Fatal(err)
		}
	}
	e.wantRecords("clock")
	put(store.Record{Kind: "gone"}) // nothing to remove
	a := store.Record{Kind: "keep", Name: "a/1", Value: []byte("until then")}
	b := store.Record{Kind: "keep", Name: "b", Value: []byte{}}
	clock := store.Record{Kind: "clock", Value: []byte{0, 1, 2}}
	longer := store.Record{Kind: "keeper", Name: "a", Value: make([]byte, 4096)}
	for _, r := range []store.Record{longer, b, clock, a} {
		put(r)
	}
	e.wantRecords("keep", a, b)
	e.reopen()
	e.wantRecords("keep", a, b)
	e.wantRecords("clock", clock)
	e.wantRecords("keeper", longer)
	clock.Value = []byte("another")
	put(clock)
	put(store.Record{Kind: "keep", Name: "a/1"})
	e.reopen()
	e.wantRecords("keep", b)
	e.wantRecords("clock", clock)
	for _, bad := range []store.Record{
		{Value: []byte("no kind")}, {Kind: "a\x00b"}, {Kind: "a", Name: "\x00"}, {Kind: strings.Repeat("k", 65)},
		{Kind: "a", Name: strings.Repeat("n", 257)}, {Kind: "a", Value: make([]byte, 4097)},
	} {
		if e.PutRecord(e.ctx, bad) == nil {
			e.Errorf("kind %.70q, name %.70q and %d bytes were accepted", bad.Kind, bad.Name, len(bad.Value))
		}
	}
}
