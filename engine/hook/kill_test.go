package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"

	"go.uber.org/goleak"
)

// deliverer makes the test's binary a process that delivers. Its value is the file, the
// URL, and "true" if it stops before it stores a cursor.
const deliverer = "ROUSE_HOOK_TEST_DELIVERER"

func TestMain(m *testing.M) {
	if job := os.Getenv(deliverer); job != "" {
		if err := deliverAll(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// deliverAll runs a hook until it is killed.
func deliverAll(job string) error {
	var path, url string
	var stops bool
	if _, err := fmt.Sscan(job, &path, &url, &stops); err != nil {
		return err
	}
	s, err := bolt.Open(path, bolt.Config{})
	if err != nil {
		return err
	}
	e, err := engine.New(s, studio.New(studio.Config{}), engine.Config{})
	if err != nil {
		return err
	}
	said := &hooked{s, func(store.Record) error {
		if stops {
			fmt.Println("stores")
			select {}
		}
		return nil
	}}
	r, err := Open(context.Background(), e, said, Config{Hooks: []Hook{{Name: "chat", URL: url, On: []Topic{TopicCanceled}}}})
	if err != nil {
		return err
	}
	return r.Run(context.Background())
}

// killed receives deliveries, and checks them.
type killed struct {
	*testing.T
	mu    sync.Mutex
	ids   map[string]string // of each session
	next  int               // the session that is to come first now
	again int               // deliveries that came again
	all   int
	act   func(gone <-chan struct{}) // called for each delivery, before its answer
}

func (k *killed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil {
		return // the process was killed while it sent
	}
	k.mu.Lock()
	session := m.Event.Ref.SessionID
	id, known := k.ids[session]
	switch {
	case known && id != m.ID:
		k.Errorf("%s came again with another id", session)
	case known:
		k.again++
	case session != numbered(k.next):
		k.Errorf("%s came, want %s", session, numbered(k.next))
	default:
		k.ids[session] = m.ID
		k.next++
	}
	k.all++
	act := k.act
	k.mu.Unlock()
	act(r.Context().Done())
}

func (k *killed) onDelivery(act func(gone <-chan struct{})) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.act = act
}

// TestKilled kills the process that delivers before a delivery is answered, after the
// answer and before the cursor is stored, and at random. No delivery is lost, they come
// in order, and one that comes again has its id.
func TestKilled(t *testing.T) {
	t.Parallel()
	ends := scale.Of(t, 12, 60, 600)
	path := filepath.Join(ram.Dir(t), "rouse.db")
	func() {
		s, err := bolt.Open(path, bolt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		e, err := engine.New(s, studio.New(studio.Config{}), engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if _, err := Open(t.Context(), e, s, Config{Hooks: []Hook{{Name: "chat", Command: []string{"true"}}}}); err != nil {
			t.Fatal(err) // the hook begins here
		}
		for i := range ends {
			r, err := e.Start(t.Context(), engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: numbered(i)}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Cancel(t.Context(), r.ID, "ada"); err != nil {
				t.Fatal(err)
			}
		}
	}()

	k := &killed{T: t, ids: map[string]string{}}
	s := receiver(t, k.ServeHTTP)
	kills := 0
	for ; k.count() < ends; kills++ {
		if kills > 10*ends {
			t.Fatal("the processes make no progress")
		}
		due, how := make(chan struct{}), kills%3
		act := sync.OnceFunc(func() { close(due) })
		var n atomic.Int64
		answers := int64(kills % 4)
		k.onDelivery(func(gone <-chan struct{}) {
			switch last := n.Add(1) > answers || k.count() == ends; {
			case how == 0: // before the answer
				act()
				<-gone
			case how == 2 && last: // after some answers, at random
				time.AfterFunc(rand.N(20*time.Millisecond), act)
			}
		})
		p := child.Start(t, child.Self(t, deliverer, fmt.Sprint(path, " ", s.URL, " ", how == 1)), func(string) { act() }) // before the cursor is stored
		select {
		case <-due:
		case <-p.Ended:
			t.Fatalf("the process ended by itself: %v", p.Wait())
		case <-time.After(30 * time.Second):
			t.Fatalf("%d sessions were told of, and none in 30 s", k.count())
		}
		p.Kill()
	}
	if k.again == 0 {
		t.Error("no delivery came twice: no process was killed between delivery and cursor")
	}
	t.Logf("%d deliveries, %d of which came again, through %d kills", k.all, k.again, kills)
}

func (k *killed) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}
