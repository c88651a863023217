package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// linearEnv is the variable that makes this test binary a server, see TestMain. Its value
// is a linearOrder as JSON.
const linearEnv = "ROUSE_LINEAR_SERVER"

// linearOrder says which file a server serves, at which socket, and which bug it has. A
// port would not do: after a kill, the server of another history may get the port.
type linearOrder struct {
	Path, Endpoint string
	Socket         string
	Bug            string
}

// The bugs that a server may have. A history must show each of them.
const (
	forgetful = "each server has a file of its own"
	stale     = "reads show the past"
	deaf      = "tokens are not passed on"
)

// linearServer serves the protocol from an engine, and prints when it listens.
func linearServer(order string) error {
	var o linearOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	e, err := engine.Open(o.Path, keyed(o.Endpoint), engine.Config{
		Timeout: 100 * time.Millisecond,
		Lane:    func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 2000, Concurrency: 64} },
	})
	if err != nil {
		return err
	}
	go e.Run(context.Background())
	if err := os.Remove(o.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a server that was killed
		return err
	}
	l, err := net.Listen("unix", o.Socket)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	d := &linearFront{engine: e, bug: o.Bug, past: map[engine.Ref]pastRead{}}
	return http.Serve(l, nimble.Handler(d, nimble.HandlerConfig{Credentials: nimble.Keys(crashKeys)})) //nolint:gosec // until it is killed
}

// linearFront is an engine as a provider: its sessions show what the engine knows of their
// operations.
type linearFront struct {
	nimble.Provider // never called
	engine          *engine.Engine
	bug             string

	mu   sync.Mutex // guards past
	past map[engine.Ref]pastRead
}

// pastRead is what a read showed, for a bug.
type pastRead struct {
	session transport.Session
	err     error
}

func (d *linearFront) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	token := in.ClientToken
	if d.bug == deaf {
		token = ""
	}
	if strings.HasPrefix(token, linearNoToken) {
		token = ""
	}
	r, err := d.engine.Start(ctx, engine.Request{Ref: in.Ref, ClientToken: token})
	var conflict *store.ConflictError
	switch {
	case errors.Is(err, store.ErrActive) && errors.As(err, &conflict):
		return transport.Session{}, &transport.Error{Kind: transport.KindConflict, Code: "ConflictException", Message: err.Error(),
			Context: map[string]string{"token": conflict.Holder.ClientToken}}
	case errors.Is(err, store.ErrTokenReused):
		return transport.Session{}, &transport.Error{Kind: transport.KindInvalid, Code: "ValidationException", Message: err.Error()}
	case err != nil:
		return transport.Session{}, err
	}
	s := sessionOf(r.Operation)
	if token != "" || d.bug == deaf {
		s.Tags["token"] = in.ClientToken
	}
	s.Tags["wait"] = string(r.ID)
	s.Tags["created"] = fmt.Sprint(r.Created)
	return s, nil
}

func (d *linearFront) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if d.bug != stale {
		return d.read(ctx, ref)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.past[ref]; ok {
		delete(d.past, ref)
		return p.session, p.err
	}
	s, err := d.read(ctx, ref)
	d.past[ref] = pastRead{s, err}
	return s, err
}

func (d *linearFront) read(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	op, err := d.engine.Find(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return transport.Session{}, &transport.Error{Kind: transport.KindNotFound, Code: "ResourceNotFoundException", Message: err.Error()}
	}
	if err != nil {
		return transport.Session{}, err
	}
	return sessionOf(op), nil
}

func sessionOf(op engine.Operation) transport.Session {
	return transport.Session{Ref: op.Ref, State: fsm.StateStartInProgress, Tags: map[string]string{
		"token": op.ClientToken, "operation": string(op.ID), "phase": string(op.Phase),
	}}
}

// linearNoToken is the beginning of tokens that the server must treat as no token.
const linearNoToken = "anew-"

// linearProvider is the server's provider. A quick session is READY when its start is
// answered, and STOPPED again when another token starts it. Other sessions are READY at
// the first poll.
type linearProvider struct {
	*studio.Studio
	mu     sync.Mutex // guards tokens
	tokens map[string]bool
}

func newLinearProvider() *linearProvider {
	return &linearProvider{tokens: map[string]bool{}, Studio: studio.New(studio.Config{Any: true, Fault: 0.1})}
}

func quick(ref transport.Ref) bool { return strings.HasSuffix(ref.SessionID, "-0") }

func (p *linearProvider) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if !quick(in.Ref) {
		return p.Studio.Start(ctx, in)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tokens[in.ClientToken] {
		p.tokens[in.ClientToken] = true
		p.Put(transport.Session{Ref: in.Ref, State: fsm.StateStopped})
	}
	s, err := p.Studio.Start(ctx, in)
	s.State = fsm.StateReady
	return s, err
}
