package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestStartAll: each request has its own receipt in its own place, even if some requests are
// refused and the others need several commits.
func TestStartAll(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{}, func(b *bench) {
		rs := make([]Request, 2*enqueueChunk)
		for i := range rs {
			rs[i].Ref = Ref{StudioID: "studio", SessionID: fmt.Sprintf("ws-%d", i)}
			switch i % 1000 {
			case 7:
				rs[i].ClientToken = string(make([]byte, 65)) // too long, and not UTF-8
			case 8:
				rs[i] = rs[0] // a join
			case 9:
				rs[i].ClientToken = "one-for-all" // only the first of these is created
			}
		}
		got, err := b.StartAll(b.Context(), rs)
		if err != nil || len(got) != len(rs) {
			b.Fatalf("%d receipts, %v", len(got), err)
		}
		for i, r := range got {
			if r.Operation.Ref != rs[i].Ref && i%1000 != 9 {
				b.Fatalf("receipt %d is of %s, want %s", i, r.Operation.Ref, rs[i].Ref)
			}
			wrong := r.Err != nil || !r.Created
			switch i % 1000 {
			case 7:
				wrong = !errors.Is(r.Err, transport.KindInvalid) || r.Created
			case 8:
				wrong = r.Err != nil || r.Created || r.Operation.ID != got[0].Operation.ID
			case 9:
				wrong = i > 9 && !errors.Is(r.Err, store.ErrTokenReused)
			}
			if wrong {
				b.Fatalf("receipt %d: created %v, %v", i, r.Created, r.Err)
			}
		}
	})
}

// TestSource stores the source of a request, or else that of the engine.
func TestSource(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{Source: "scheduler"}, func(b *bench) {
		for source, want := range map[string]string{"": "scheduler", "console": "console"} {
			ref := Ref{StudioID: "studio", SessionID: "ws-" + want}
			r, err := b.Start(b.Context(), Request{Ref: ref, RequestedBy: "ann", Source: source})
			if err != nil || r.Operation.Source != want || r.Operation.RequestedBy != "ann" {
				b.Errorf("source %q: the operation has %q by %q (%v), want %q", source, r.Operation.Source, r.Operation.RequestedBy, err, want)
			}
		}
		long := Request{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}, Source: string(make([]byte, maxName+1))}
		if _, err := b.Start(b.Context(), long); !errors.Is(err, transport.KindInvalid) {
			b.Errorf("a source of %d bytes: %v", len(long.Source), err)
		}
	})
}

// TestNoID: on a host without random numbers nothing is accepted, and the error says why. The
// test is not parallel, since the process has one source of random numbers.
func TestNoID(t *testing.T) {
	e, err := Open(filepath.Join(ram.Dir(t), "rouse.db"), studio.New(studio.Config{Any: true}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	dry := errors.New("the well is dry")
	r := Request{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}}

	uuid.SetRand(iotest.ErrReader(dry))
	t.Cleanup(func() { uuid.SetRand(nil) })
	one, err := e.Start(t.Context(), r)
	if !errors.Is(err, dry) || !errors.Is(one.Err, dry) || one.Created || one.Operation.Ref != r.Ref {
		t.Errorf("Start: %+v, %v", one, err)
	}
	all, err := e.StartAll(t.Context(), []Request{r})
	if err != nil || len(all) != 1 || !errors.Is(all[0].Err, dry) || all[0].Created {
		t.Errorf("StartAll: %+v, %v", all, err)
	}
	if _, err := e.Find(t.Context(), r.Ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after starts that were refused, Find: %v", err)
	}

	uuid.SetRand(nil)
	if again, err := e.Start(t.Context(), r); err != nil || !again.Created {
		t.Errorf("with random numbers again: %+v, %v", again, err)
	}
}
