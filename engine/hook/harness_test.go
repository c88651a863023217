package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport/studio"
)

// bench is an engine on a real file, a studio and hooks, inside a synctest bubble.
type bench struct {
	*testing.T
	path   string
	studio *studio.Studio
	db     *bolt.Store
	store  store.Store // what hooks get
	engine *engine.Engine
	log    *logs
	drain  time.Duration
	config engine.Config

	machine string // the machine that opens the file; "": this one
}

// scenario runs f in a bubble.
func scenario(t *testing.T, provider studio.Config, f func(b *bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider.Any = true
		b := &bench{T: t, path: filepath.Join(ram.Dir(t), "rouse.db"), studio: studio.New(provider), log: &logs{}}
		b.open()
		defer func() { b.close() }()
		f(b)
	})
}

func (b *bench) open() {
	b.Helper()
	var err error
	if b.db, err = bolt.Open(b.path, bolt.Config{Machine: b.machine}); err != nil {
		b.Fatal(err)
	}
	b.store = b.db
	if b.engine, err = engine.New(b.db, b.studio, b.config); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) close() {
	b.Helper()
	if err := errors.Join(b.engine.Close(), b.db.Close()); err != nil {
		b.Errorf("close: %v", err)
	}
}

func (b *bench) restart() {
	b.Helper()
	b.close()
	b.open()
}

// goEngine begins an engine run, and returns what ends it.
func (b *bench) goEngine() (end func()) {
	return b.goRun(b.engine.Run)
}

// goHooks opens hooks that deliver to fakes, begins to run them, and returns what ends
// them. A hook that is not in fakes keeps its own sender.
func (b *bench) goHooks(fakes map[string]*fake, hooks ...Hook) (end func()) {
	b.Helper()
	for i, h := range hooks {
		if h.URL == "" && h.Command == nil {
			hooks[i].Command = []string{"false"}
		}
	}
	r, err := Open(b.Context(), b.engine, b.store, Config{Hooks: hooks, Drain: b.drain, Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range r.workers {
		if f := fakes[w.hook.Name]; f != nil {
			w.sender = f
		}
	}
	return b.goRun(r.Run)
}

func (b *bench) goRun(run func(context.Context) error) (end func()) {
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	synctest.Wait()
	return func() {
		inTurn()
		stop()
		if err := <-done; err != nil {
			b.Errorf("Run: %v", err)
		}
	}
}

func (b *bench) start(session string) engine.ID {
	b.Helper()
	return b.ask(engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: session}})
}

func (b *bench) ask(r engine.Request) engine.ID {
	b.Helper()
	got, err := b.engine.Start(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	return got.ID
}

// cancel asks for a session and cancels it: an end without an engine run.
func (b *bench) cancel(session string) engine.ID {
	b.Helper()
	id := b.start(session)
	if _, err := b.engine.Cancel(b.Context(), id, "ada"); err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) after(d time.Duration) {
	inTurn()
	time.Sleep(d)
	synctest.Wait()
}

// turn orders what a test sets before it sleeps, and what the fakes read after that. The
// fakes run only while the test sleeps, but nothing else tells the race detector so.
var turn sync.Mutex

func inTurn() {
	turn.Lock()
	defer turn.Unlock()
}

// message is a delivery as a receiver reads it.
type message struct {
	Text, ID, Hook, Rouse string
	Topic                 Topic
	At                    time.Time
	Event                 *engine.Event
	Operation             *engine.Explanation
	Lane                  *struct{ Name, Reason, Error string }
	Dropped               int
}

func (m message) String() string {
	switch {
	case m.Event != nil:
		return string(m.Topic) + " " + m.Event.Ref.SessionID
	case m.Lane != nil:
		return string(m.Topic) + " " + m.Lane.Name
	}
	return string(m.Topic)
}

// fake is a receiver. Its fields are set while nothing runs.
type fake struct {
	answer func(m message) error // nil: every delivery succeeds
	hang   bool                  // every try lasts until its context ends

	trying atomic.Bool // a try goes on

	mu    sync.Mutex
	tries []message   // all of them
	at    []time.Time // when
	got   []message   // those that succeeded
}

func (f *fake) send(ctx context.Context, d *delivery) error {
	inTurn()
	text, err := d.body()
	if err != nil {
		return err
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	f.mu.Lock()
	f.tries, f.at = append(f.tries, m), append(f.at, time.Now())
	f.mu.Unlock()
	f.trying.Store(true)
	defer f.trying.Store(false)
	if f.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.answer != nil {
		if err := f.answer(m); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, m)
	return nil
}

// want checks what was delivered, and forgets it.
func (f *fake) want(t *testing.T, want ...string) []message {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for _, m := range f.got {
		got = append(got, m.String())
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("delivered were %v, want %v", got, want)
	}
	out := f.got
	f.tries, f.at, f.got = nil, nil, nil
	return out
}

var errRefused = errors.New("refused")

// logs keeps a log.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// hooked is a store whose PutRecord a test changes.
type hooked struct {
	store.Store
	put func(r store.Record) error // an error: the record is not stored
}

func (h *hooked) PutRecord(ctx context.Context, r store.Record) error {
	inTurn()
	if err := h.put(r); err != nil {
		return err
	}
	return h.Store.PutRecord(ctx, r)
}

func numbered(n int) string { return fmt.Sprintf("ws-%03d", n) }
