package engine

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	bbolt "go.etcd.io/bbolt"
)

// raw is the baseline of the benchmarks. It is bbolt with the puts, the order of keys and
// the group commit of a store. It lacks the codec, checks, tables and readers. It opens
// the file as the store does.
type raw struct {
	db    *bbolt.DB
	sizes sizes
	keys  atomic.Uint64
	seq   uint64 // the committer's

	mu      sync.Mutex // guards waiting
	waiting []*rawWrite
	wake    chan struct{}
	done    chan struct{}
}

// rawWrite is one caller's request for a commit.
type rawWrite struct {
	op           uint64
	event, ended bool // with an event, and with the row of an ended session
	done         chan error
}

// sizes has the average lengths of the records in an engine's file.
type sizes struct{ op, event int }

const rawBuckets = "oet" // operations, events, ended

func newRaw(b *testing.B, of sizes) *raw {
	b.Helper()
	path := filepath.Join(b.TempDir(), "raw.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistArrayType, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	db.AllocSize = 4 << 20
	err = db.Update(func(tx *bbolt.Tx) error {
		for i := range rawBuckets {
			if _, err := tx.CreateBucket([]byte(rawBuckets[i : i+1])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	r := &raw{db: db, sizes: of, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go r.run()
	b.Cleanup(func() {
		close(r.wake)
		<-r.done
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

// start stores a new operation and its event, and returns its key when they are
// durable.
func (r *raw) start() (uint64, error) {
	key := r.keys.Add(1)
	return key, r.put(&rawWrite{op: key, event: true})
}

func (r *raw) put(ws ...*rawWrite) error {
	r.mu.Lock()
	for _, w := range ws {
		w.done = make(chan error, 1)
	}
	r.waiting = append(r.waiting, ws...)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	for _, w := range ws {
		if err := <-w.done; err != nil {
			return err
		}
	}
	return nil
}

// run is the committer: requests that arrive during a commit are in the next one.
func (r *raw) run() {
	defer close(r.done)
	for range r.wake {
		for {
			for seen := -1; ; runtime.Gosched() {
				r.mu.Lock()
				n := len(r.waiting)
				if n == seen {
					break // with the lock held
				}
				r.mu.Unlock()
				seen = n
			}
			ws := r.waiting
			r.waiting = nil
			r.mu.Unlock()
			if len(ws) == 0 {
				break
			}
			err := r.db.Update(func(tx *bbolt.Tx) error { return r.write(tx, ws) })
			for _, w := range ws {
				w.done <- err
			}
		}
	}
}

func (r *raw) write(tx *bbolt.Tx, ws []*rawWrite) error {
	ops, events, ended := tx.Bucket([]byte("o")), tx.Bucket([]byte("e")), tx.Bucket([]byte("t"))
	ops.FillPercent, events.FillPercent = 0.9, 0.9 // keys come in order
	for _, w := range ws {
		key := rawKey(w.op)
		if err := ops.Put(key, make([]byte, r.sizes.op)); err != nil {
			return err
		}
		if w.event {
			r.seq++
			if err := events.Put(binary.BigEndian.AppendUint64(nil, r.seq), make([]byte, r.sizes.event)); err != nil {
				return err
			}
		}
		if w.ended {
			if err := ended.Put(fmt.Appendf(nil, "studio\x00ws-%d", w.op), make([]byte, 20)); err != nil {
				return err
			}
		}
	}
	return nil
}

func rawKey(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8, 16), n) }

// check fails the benchmark unless the file holds all records that were put into it.
func (r *raw) check(b *testing.B, ops, events int) {
	b.Helper()
	err := r.db.View(func(tx *bbolt.Tx) error {
		o, e := tx.Bucket([]byte("o")).Stats().KeyN, tx.Bucket([]byte("e")).Stats().KeyN
		if o != ops || e != events {
			b.Errorf("the raw file holds %d operations and %d events, want %d and %d", o, e, ops, events)
		}
		return nil
	})
	if err != nil {
		b.Error(err)
	}
}

// sizesOf reads the average lengths from an engine's file, which must be closed.
func sizesOf(b *testing.B, path string) sizes {
	b.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	var out sizes
	err = db.View(func(tx *bbolt.Tx) error {
		for name, size := range map[string]*int{"operations": &out.op, "events": &out.event} {
			sum, n := 0, 0
			if err := tx.Bucket([]byte(name)).ForEach(func(_, v []byte) error {
				sum, n = sum+len(v), n+1
				return nil
			}); err != nil {
				return err
			}
			*size = sum / max(1, n)
		}
		return nil
	})
	if err == nil {
		err = db.Close()
	}
	if err != nil || out.op == 0 || out.event == 0 {
		b.Fatalf("%+v, %v", out, err)
	}
	return out
}
