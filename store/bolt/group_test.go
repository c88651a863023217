package bolt

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// TestLateRequestsJoin checks that a request that arrives while a group is written joins the
// same transaction, and has a result of its own.
func TestLateRequestsJoin(t *testing.T) {
	t.Parallel()
	wrong := errors.New("it fails")
	writes := func(in *int) func(*batch) error {
		return func(b *batch) error {
			*in = b.id
			b.PutMeta("test", nil)
			return nil
		}
	}
	for name, test := range map[string]struct {
		late  request
		want  error
		joins bool
	}{
		"it joins":               {joins: true},
		"it fails":               {late: request{write: func(*batch) error { return wrong }}, want: wrong},
		"there is space for one": {late: adding(true), want: store.ErrFull},
		"it needs no space":      {late: adding(false), joins: true},
		"it is too large":        {late: request{size: maxCommit}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // no time passes in the bubble, so the group can grow as long as it takes
				s := openTest(t, testPath(t), Config{MaxSize: 4 << 20, noSync: true})
				var first, late int // the transactions of the two requests
				r := &test.late
				r.answer = make(chan error, 1)
				if r.write == nil {
					r.write = writes(&late)
				}
				came := false
				one := adding(true)
				one.write = func(b *batch) error {
					if !came { // if the late request fails, the group is written again without it
						came = true
						s.queue.add(r)
					}
					return writes(&first)(b)
				}
				if err := s.submit(t.Context(), &one); err != nil {
					t.Error("the first:", err)
				}
				if err := <-r.answer; !errors.Is(err, test.want) {
					t.Errorf("the late one: %v, want %v", err, test.want)
				}
				if joined := first == late; joined != test.joins {
					t.Errorf("the first is in transaction %d, the late one in %d", first, late)
				}
			})
		})
	}
}

// adding returns a request for more than half of the test's file.
func adding(anything bool) request {
	return request{size: 1, bytes: 2 << 20, adds: func(*batch) bool { return anything }}
}

// TestNothingIsCommittedAfterTheStoreFailed checks a group for which there is no space at
// once. Its first half meets an error that closes the store. The rest is not stored, and its
// callers get an error.
func TestNothingIsCommittedAfterTheStoreFailed(t *testing.T) {
	t.Parallel()
	x := &trouble{fault: faults()[0], n: 1}
	s := openTest(t, testPath(t), Config{noSync: true, opened: x.writes})
	met := []error{syscall.ENOSPC, syscall.EIO}
	var rs []*request
	for i := range 3 {
		rs = append(rs, &request{size: 1, answer: make(chan error, 1), write: func(b *batch) error {
			if i == 0 {
				x.err, x.count, x.armed = &os.PathError{Op: "write", Path: "x", Err: met[0]}, 0, true
				met = met[1:]
			}
			b.PutMeta(numbered(i), nil)
			return nil
		}})
	}
	s.queue.mu.Lock() // so that the committer takes them as one group
	s.queue.waiting = append(s.queue.waiting, rs...)
	s.queue.mu.Unlock()
	s.queue.wake <- struct{}{}
	for i, r := range rs {
		if err := <-r.answer; !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("request %d: %v, want ErrFailed and its cause", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	edit(t, s.path, func(b *format.Writer) error {
		for i := range rs {
			if b.Meta.Get([]byte(numbered(i))) != nil {
				t.Errorf("request %d is stored", i)
			}
		}
		return nil
	})
}
