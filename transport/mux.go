package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Mux serves many studios by many transports, as http.ServeMux serves paths. A pattern is
// a studio's id, or a prefix of ids and "*". The longest pattern that matches wins. Mux
// forwards traits and splits batches by transport. The zero value routes nothing. A Mux
// is safe for concurrent use.
type Mux struct {
	mu     sync.RWMutex // guards routes; never held across a call
	routes map[string]Transport
}

// Handle routes the studios that pattern matches to t. It panics if t is nil, or if
// pattern is empty, is in use, or has a "*" before its end. These are mistakes of the
// program, as with http.ServeMux.
func (m *Mux) Handle(pattern string, t Transport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case t == nil:
		panic("transport: Mux.Handle of a nil Transport")
	case pattern == "" || strings.Contains(strings.TrimSuffix(pattern, "*"), "*"):
		panic(fmt.Sprintf("transport: Mux.Handle: pattern %q is not an id or a prefix and *", pattern))
	case m.routes[pattern] != nil:
		panic(fmt.Sprintf("transport: Mux.Handle: pattern %q is in use", pattern))
	}
	if m.routes == nil {
		m.routes = map[string]Transport{}
	}
	m.routes[pattern] = t
}

// route returns the transport of a studio, by its own pattern or else by the longest
// prefix.
func (m *Mux) route(studio string) (Transport, error) {
	t, _, err := m.match(studio)
	return t, err
}

func (m *Mux) match(studio string) (t Transport, pattern string, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.matched(studio)
}

// matched is match. The caller holds mu.
func (m *Mux) matched(studio string) (t Transport, pattern string, err error) {
	if t, ok := m.routes[studio]; ok {
		return t, studio, nil
	}
	for n := len(studio); n >= 0; n-- {
		if t, ok := m.routes[studio[:n]+"*"]; ok {
			return t, studio[:n] + "*", nil
		}
	}
	return nil, "", &Error{Kind: KindNotFound, NotSent: true, Code: "ResourceNotFoundException",
		Message: fmt.Sprintf("no transport serves studio %q", studio)}
}

// Start starts the session by its studio's transport. Without one it returns an
// error of KindNotFound and sends nothing.
func (m *Mux) Start(ctx context.Context, in StartInput) (Session, error) {
	t, err := m.route(in.StudioID)
	if err != nil {
		return Session{}, err
	}
	return t.Start(ctx, in)
}

// Get reads the session by its studio's transport. Without one it returns an error
// of KindNotFound.
func (m *Mux) Get(ctx context.Context, ref Ref) (Session, error) {
	t, err := m.route(ref.StudioID)
	if err != nil {
		return Session{}, err
	}
	return t.Get(ctx, ref)
}

// CheckStart calls [CheckStart] for the studio's transport. It does not report a
// studio without a transport: Start does.
func (m *Mux) CheckStart(in StartInput) error {
	t, err := m.route(in.StudioID)
	if err != nil {
		return in.Validate()
	}
	return CheckStart(t, in)
}

// List lists by the studio's transport. If that transport cannot list, the error
// also matches errors.ErrUnsupported.
func (m *Mux) List(ctx context.Context, in ListInput) (ListOutput, error) {
	t, err := m.route(in.StudioID)
	if err != nil {
		return ListOutput{}, err
	}
	l, ok := t.(Lister)
	if !ok {
		return ListOutput{}, &Error{Kind: KindInvalid, NotSent: true, Err: errors.ErrUnsupported,
			Message: fmt.Sprintf("the transport of studio %q cannot list", in.StudioID)}
	}
	return l.List(ctx, in)
}

// Traits returns the traits of the studio's transport, or the zero value if there is
// none.
func (m *Mux) Traits(ref Ref) Traits {
	t, err := m.route(ref.StudioID)
	if err != nil {
		return Traits{}
	}
	return TraitsOf(t, ref)
}

// HasLane reports whether a session of a studio that m serves may be in the lane. It
// assumes that a transport that is no LaneChecker has one lane, or one for each studio.
func (m *Mux) HasLane(name string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for pattern, t := range m.routes {
		if c, ok := t.(LaneChecker); ok && c.HasLane(name) {
			return true
		}
		if TraitsOf(t, Ref{StudioID: strings.TrimSuffix(pattern, "*")}).Lane == name {
			return true
		}
	}
	t, _, err := m.matched(name)
	return err == nil && CheckID("studio id", name) == nil && TraitsOf(t, Ref{StudioID: name}).Lane == name
}

// BatchGet splits refs by transport. If the call of a transport fails, each of its
// refs has that error.
func (m *Mux) BatchGet(ctx context.Context, refs []Ref) ([]Result, error) {
	return split(m, refs, member[Ref]{
		ref:  func(r Ref) Ref { return r },
		most: func(tr Traits) int { return tr.MaxBatch },
		one:  func(t Transport, r Ref) (Session, error) { return t.Get(ctx, r) },
		many: func(t Transport, rs []Ref) ([]Result, error) { return t.(BatchGetter).BatchGet(ctx, rs) },
	}), nil
}

// BatchStart splits inputs by transport, as BatchGet does.
func (m *Mux) BatchStart(ctx context.Context, ins []StartInput) ([]Result, error) {
	return split(m, ins, member[StartInput]{
		ref:  func(in StartInput) Ref { return in.Ref },
		most: func(tr Traits) int { return tr.MaxStarts },
		one:  func(t Transport, in StartInput) (Session, error) { return t.Start(ctx, in) },
		many: func(t Transport, ins []StartInput) ([]Result, error) { return t.(BatchStarter).BatchStart(ctx, ins) },
	}), nil
}

// member describes the elements of a batch, and how a transport takes them.
type member[T any] struct {
	ref  func(T) Ref
	most func(Traits) int
	one  func(Transport, T) (Session, error)
	many func(Transport, []T) ([]Result, error)
}

// split passes each transport its part of a batch, in as few calls as its traits
// allow. Two transports may share a lane and take batches of different sizes.
func split[T any](m *Mux, all []T, how member[T]) []Result {
	out := make([]Result, len(all))
	parts := map[string][]int{} // by pattern, because a Transport need not be comparable
	routes := map[string]Transport{}
	for i, one := range all {
		t, pattern, err := m.match(how.ref(one).StudioID)
		if err != nil {
			out[i].Err = err
			continue
		}
		routes[pattern] = t
		parts[pattern] = append(parts[pattern], i)
	}
	for pattern, part := range parts {
		t := routes[pattern]
		most := how.most(TraitsOf(t, how.ref(all[part[0]])))
		for some := range slices.Chunk(part, max(1, most)) {
			if most == 0 {
				out[some[0]].Session, out[some[0]].Err = how.one(t, all[some[0]])
				continue
			}
			oneCall(t, all, some, how, out)
		}
	}
	return out
}

func oneCall[T any](t Transport, all []T, part []int, how member[T], out []Result) {
	mine := make([]T, len(part))
	for n, i := range part {
		mine[n] = all[i]
	}
	results, err := how.many(t, mine)
	if err == nil && len(results) != len(mine) {
		err = &Error{Kind: KindUnknown, Message: fmt.Sprintf("a batch of %d got %d results", len(mine), len(results))}
	}
	for n, i := range part {
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i] = results[n]
	}
}
