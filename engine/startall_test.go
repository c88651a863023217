package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestStartAll: each request has its own receipt in its own place, also where
// some are refused and there are more than one commit takes.
func TestStartAll(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{}, func(b *bench) {
		rs := make([]Request, 2*enqueueChunk)
		for i := range rs {
			rs[i].Ref = Ref{StudioID: "studio", SessionID: fmt.Sprintf("ws-%d", i)}
			switch i % 1000 {
			case 7:
				rs[i].ClientToken = string(make([]byte, 65)) // too long, and no text
			case 8:
				rs[i] = rs[0] // a join
			case 9:
				rs[i].ClientToken = "one-for-all" // of which one is created
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
				wrong = !errors.Is(r.Err, transport.Invalid) || r.Created
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
