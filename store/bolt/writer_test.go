package bolt

import (
	"errors"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
	berrors "go.etcd.io/bbolt/errors"
)

// TestNothingIsCommittedAfterAFailedWrite checks that the error of a transaction names the
// place of the first failed write, and that no other write is stored.
func TestNothingIsCommittedAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	long := make([]byte, bbolt.MaxKeySize+1)
	lane := []byte("lane")
	for name, c := range map[string]struct {
		write func(w *format.Writer)
		want  string
		err   error
	}{
		"a key that is too long": {func(w *format.Writer) { w.Put(w.Tokens, long, nil) }, "writing to tokens", berrors.ErrKeyTooLarge},
		"a key that is empty":    {func(w *format.Writer) { w.PutWeighed(w.Lanes, nil, nil, nil) }, `writing to lanes at ""`, berrors.ErrKeyRequired},
		"what cannot be encoded": {func(w *format.Writer) { w.Keep(w.Events, format.SeqKey(7), errors.ErrUnsupported) }, "writing to events at 7", errors.ErrUnsupported},
	} {
		write := func(w *format.Writer) {
			w.PutWeighed(w.Lanes, lane, format.Seal(lane, format.Encoded(format.LaneBody{Paused: true})), nil)
			c.write(w)
			w.Put(w.Meta, long, nil) // a second error, which is not reported
			w.PutMeta(format.MetaPruned, make([]byte, 16))
		}
		for of, err := range map[string]error{
			"a file of its own": format.Inside(s.path, s.db, true, format.Writing(write)),
			"a batch":           s.commit(t.Context(), 1, func(b *batch) error { write(&b.Writer); b.putEvent(nil); return nil }),
			"one that writes nothing": s.commit(t.Context(), 1, func(b *batch) error {
				write(&b.Writer)
				return errors.New("and something else")
			}),
		} {
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, in %s: %v, want %q", name, of, err, c.want)
			}
		}
	}
	lanes, err := s.Lanes(t.Context())
	if now, herr := s.Head(t.Context()); err != nil || herr != nil || len(lanes) > 0 || now != head {
		t.Errorf("%+v, %v, and the feed's head was %q and is %q, %v", lanes, err, head, now, herr)
	}
	clean(t, s)
}

// TestWritesWhereNoneMayBe checks that every write fails in a transaction that only reads.
func TestWritesWhereNoneMayBe(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	for name, write := range map[string]func(w *format.Writer){
		"put":         func(w *format.Writer) { w.Put(w.Qu, []byte("a"), nil) },
		"remove":      func(w *format.Writer) { w.Remove(w.Qu, []byte("a")) },
		"set a note":  func(w *format.Writer) { w.SetNote(w.Qu, 1) },
		"a note":      (*format.Writer).NoteAll,
		"a new store": func(w *format.Writer) { w.NewID() },
	} {
		if err := format.Inside(s.path, s.db, false, format.Writing(write)); !errors.Is(err, berrors.ErrTxNotWritable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := format.Inside(s.path, s.db, true, format.LayOut); !errors.Is(err, berrors.ErrBucketExists) {
		t.Errorf("a file that has its buckets already: %v", err)
	}
}

// TestTokenThatNoRowCanHold checks that a request whose token is too long for a key is
// refused alone. The other requests in the same transaction are stored.
func TestTokenThatNoRowCanHold(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	inside, leave := make(chan struct{}), make(chan struct{})
	first := true
	s.committed = func(error) {
		if first {
			first = false
			close(inside)
			<-leave
		}
	}
	done := make(chan error, 2)
	enqueue := func(o store.Operation) {
		_, err := s.Enqueue(t.Context(), []store.Operation{o})
		done <- err
	}
	go enqueue(testOp("before"))
	<-inside // so that the next two requests share one transaction
	o := testOp("refused")
	o.ClientToken = strings.Repeat("t", bbolt.MaxKeySize+1)
	refused := make(chan error, 1)
	go func() {
		_, err := s.Enqueue(t.Context(), []store.Operation{testOp("with it"), o})
		refused <- err
	}()
	go enqueue(testOp("beside"))
	for waiting := 0; waiting < 2; {
		s.queue.mu.Lock()
		waiting = len(s.queue.waiting)
		s.queue.mu.Unlock()
	}
	close(leave)
	if err := <-refused; !errors.Is(err, berrors.ErrKeyTooLarge) || !strings.Contains(err.Error(), "writing to tokens at \"ttt") {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	all, err := listed(t.Context(), s)
	if _, ok := all["beside"]; err != nil || !ok || len(all) != 2 {
		t.Errorf("%d operations, %v, want the first and the one with a short token", len(all), err)
	}
	clean(t, s)
}

// TestMust checks that must panics on a value that cannot be encoded.
func TestMust(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a channel was encoded")
		}
	}()
	format.Encoded(make(chan int))
}
