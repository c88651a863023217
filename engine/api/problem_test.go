package api_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
)

// failing is an engine whose Start returns an error.
type failing struct {
	api.Engine
	err error
}

func (f *failing) Start(context.Context, engine.Request) (engine.Receipt, error) {
	return engine.Receipt{Err: f.err}, f.err
}

func (f *failing) StartAll(context.Context, []engine.Request) ([]engine.Receipt, error) {
	return []engine.Receipt{{Operation: engine.Operation{Ref: request("ws-1").Ref}, Err: f.err}}, nil
}

// sentinels are the errors of engine that errors.Is finds, by their names.
var sentinels = map[string]error{
	"ErrNotFound": engine.ErrNotFound, "ErrActive": engine.ErrActive, "ErrTokenReused": engine.ErrTokenReused, "ErrExpired": engine.ErrExpired,
	"ErrUnknown": engine.ErrUnknown, "ErrFull": engine.ErrFull, "ErrFailed": engine.ErrFailed, "ErrCorrupt": engine.ErrCorrupt,
	"ErrClosed": engine.ErrClosed, "ErrUnknownLane": engine.ErrUnknownLane, "ErrNotEnded": engine.ErrNotEnded,
}

// elsewhere are the errors of engine that no call of the API returns.
var elsewhere = map[string]string{
	"ErrRunning": "only Run returns it",
	"EndError":   "the client makes it of the operation",
}

func at(minute int) time.Time { return time.Date(2026, 11, 30, 8, minute, 0, 0, time.UTC) }

// typed are the errors of engine that errors.As finds, by the names of their types.
func typed() map[string][]error {
	op := engine.Operation{
		ID: "019a0000-0000-7000-8000-000000000001", Ref: request("ws-1").Ref, Lane: "comp", ClientToken: "monday", Phase: engine.PhaseQueued,
		CreatedAt: at(10), NotBefore: at(20), DueAt: at(20), ExpiresAt: at(9), RequestedBy: "kim",
	}
	late := op
	late.ExpiresAt = at(15)
	all := map[string][]error{
		"ConflictError": {&engine.ConflictError{Err: engine.ErrActive, Holder: op}, &engine.ConflictError{Err: engine.ErrTokenReused, Holder: op}},
		"ExpiryError":   {&engine.ExpiryError{Operation: op}, &engine.ExpiryError{Operation: late}},
		"CursorError": {
			&engine.CursorError{After: "17.6f2a", First: 20, Head: 90, Pruned: true}, &engine.CursorError{After: "17.6f2a", First: 1, Head: 5, Forked: true},
			&engine.CursorError{After: "no <cursor>"},
		},
	}
	for k := engine.ErrorKindUnknown; k <= engine.ErrorKindUnreachable; k++ {
		all["ProviderError"] = append(all["ProviderError"], &engine.ProviderError{Kind: k}, &engine.ProviderError{
			Kind: k, NotSent: true, OnlySession: true, Code: "ValidationException", Message: "labels have <2000> bytes & more", RequestID: "r-1", HTTPStatusCode: 429,
			RetryAfter: 1500 * time.Millisecond, Date: at(1), Context: map[string]string{"resourceId": "ws-1"},
		}, &engine.ProviderError{Kind: k, Err: errors.New("connection refused")})
	}
	return all
}

// TestErrors sends each error of engine to a client, which must find the same error.
func TestErrors(t *testing.T) {
	t.Parallel()
	f := &failing{}
	server := httptest.NewServer(as(admin, api.Handler(f, api.Config{})))
	defer server.Close()
	client := api.NewClient(server.URL, server.Client(), "")
	check := func(t *testing.T, err error, same func(error) bool) {
		f.err = fmt.Errorf("engine: start comp/ws-1: %w", err)
		_, alone := client.Start(t.Context(), request("ws-1"))
		many, failed := client.StartAll(t.Context(), []engine.Request{request("ws-1")})
		if failed != nil {
			t.Fatal(failed)
		}
		for how, got := range map[string]error{"Start": alone, "StartAll": many[0].Err} {
			if got == nil || !same(got) || got.Error() != f.err.Error() {
				t.Errorf("%s: the client's error is %T %v\nthe engine's is %T %v", how, got, got, f.err, f.err)
			}
			for name, sentinel := range sentinels {
				if errors.Is(got, sentinel) != errors.Is(f.err, sentinel) {
					t.Errorf("%s: errors.Is of %v and %s is %v", how, got, name, errors.Is(got, sentinel))
				}
			}
			if errors.Is(got, api.ErrNoAnswer) {
				t.Errorf("%s: %v matches ErrNoAnswer", how, got)
			}
		}
	}
	for name, err := range sentinels {
		t.Run(name, func(t *testing.T) { check(t, err, func(got error) bool { return errors.Is(got, err) }) })
	}
	for name, errs := range typed() {
		for i, err := range errs {
			t.Run(fmt.Sprint(name, i), func(t *testing.T) {
				check(t, err, func(got error) bool {
					found := reflect.New(reflect.TypeOf(err))
					if !errors.As(got, found.Interface()) {
						return false
					}
					a, b := found.Elem().Interface().(error), err
					if pa, ok := a.(*engine.ProviderError); ok { // the cause is another error with the same text
						pb := err.(*engine.ProviderError)
						if errorText(pa.Err) != errorText(pb.Err) || pa.Error() != pb.Error() {
							return false
						}
						ca, cb := *pa, *pb
						ca.Err, cb.Err = nil, nil
						return reflect.DeepEqual(ca, cb)
					}
					return reflect.DeepEqual(a, b)
				})
			})
		}
	}
	t.Run("another", func(t *testing.T) {
		check(t, errors.New("something else"), func(error) bool { return true })
	})
	t.Run("unsupported", func(t *testing.T) {
		check(t, errors.ErrUnsupported, func(got error) bool { return errors.Is(got, errors.ErrUnsupported) })
	})
}

// TestErrorsComplete finds the errors that package engine exports, so that TestErrors
// leaves none out.
func TestErrorsComplete(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if g.Tok == token.VAR && strings.HasPrefix(n.Name, "Err") {
							names[n.Name] = true
						}
					}
				case *ast.TypeSpec:
					if s.Name.IsExported() && strings.HasSuffix(s.Name.Name, "Error") {
						names[s.Name.Name] = true
					}
				}
			}
		}
	}
	if len(names) < 15 {
		t.Fatalf("only %v are found", names)
	}
	for name := range names {
		if sentinels[name] == nil && typed()[name] == nil && elsewhere[name] == "" {
			t.Errorf("engine.%s has no problem type: add it to problemTypes and to this test", name)
		}
	}
}

// TestFileErrors keeps fs.ErrExist of the client's own file.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	if err := b.client.Backup(t.Context(), b.folder); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a backup to a folder returns %v", err)
	}
}
