package repair

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// FuzzPage checks that a page reader finds every record that the walk of a whole tree finds
// on a page. So does its search without the elements. Neither reads beyond the page.
func FuzzPage(f *testing.F) {
	const size = 4096
	for _, name := range []string{"good_schema1.db", "good_schema1_all.db"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for at := 2 * size; at+size <= len(data); at += size {
			f.Add(data[at : at+size])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		page := make([]byte, size)
		copy(page, data)
		binary.NativeEndian.PutUint64(page, 2) // otherwise the walk stops here
		binary.NativeEndian.PutUint32(page[12:], 0)
		img := format.Image{Data: append(make([]byte, 2*size), page...), PageSize: size}
		m := &format.BoltMeta{PageSize: size, Root: 2, Freelist: format.NoFreelist, Pages: 3}

		strict := map[string]bool{}
		w := format.NewWalk(bytes.NewReader(img.Data), m)
		w.Visit = func(_ string, key, value []byte) error {
			strict[string(key)+"\x00\x00"+string(value)] = true
			return nil
		}
		whole := w.Bucket(2, 0) == nil
		loose := map[string]bool{}
		var note func(flags uint32, key, value []byte)
		note = func(flags uint32, key, value []byte) {
			loose[string(key)+"\x00\x00"+string(value)] = true
			if flags&format.BucketFlag != 0 && len(value) > format.BucketHeader {
				format.EachElement(value[format.BucketHeader:], len(value), note)
			}
		}
		format.EachElement(img.From(2), size, note)
		for pair := range strict {
			if whole && !loose[pair] {
				t.Fatalf("the walk reads %q, and the page reader does not", pair)
			}
		}

		read, searched := newFound(), newFound()
		format.EachElement(img.From(2), size, (&pageReader{H: read, Trust: format.Sure}).Element)
		(&pageReader{H: searched, Trust: format.Sure}).search(img.From(2), size)
		for key := range read.Ops {
			if _, ok := searched.Ops[key]; !ok {
				t.Fatalf("operation %s is not found by its form", key.Id())
			}
		}
		for seq := range read.Events {
			if _, ok := searched.Events[seq]; !ok {
				t.Fatalf("event %d is not found by its form", seq)
			}
		}
	})
}
