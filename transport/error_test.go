package transport_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/transport"
)

// kinds is every kind, with the properties that the protocol gives it.
func kinds() []struct {
	kind              transport.Kind
	refusal, protocol bool
} {
	return []struct {
		kind              transport.Kind
		refusal, protocol bool
	}{
		{transport.KindUnknown, false, false},
		{transport.KindAccessDenied, true, true},
		{transport.KindConflict, false, true}, // the operation in progress may be our own start
		{transport.KindInternal, false, true},
		{transport.KindNotFound, true, true},
		{transport.KindQuotaExceeded, true, true},
		{transport.KindThrottled, true, true},
		{transport.KindInvalid, true, true},
		{transport.KindCapacity, true, true},
		{transport.KindCredentials, true, true},
		{transport.KindUnreachable, false, false},
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i, k := range kinds() {
		if int(k.kind) != i {
			t.Errorf("%v is number %d and was %d: kinds are persisted", k.kind, k.kind, i)
		}
		if k.kind.Refusal() != k.refusal || k.kind.Protocol() != k.protocol {
			t.Errorf("%v: refusal %v, protocol %v; want %v, %v", k.kind, k.kind.Refusal(), k.kind.Protocol(), k.refusal, k.protocol)
		}
		if name := k.kind.Error(); seen[name] || name == "" || name != strings.ToLower(name) || strings.HasPrefix(name, "kind ") {
			t.Errorf("kind %d is called %q", i, name)
		}
		seen[k.kind.Error()] = true
	}
	next := transport.Kind(len(kinds()))
	if next.Error() != fmt.Sprintf("kind %d", next) || next.Refusal() {
		t.Errorf("a kind of a later version is %q, refusal %v; want its number, and no refusal", next, next.Refusal())
	}
}

func TestErrorIsItsKind(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		err := fmt.Errorf("starting lab/ws-1: %w", &transport.Error{Kind: k.kind, Err: io.ErrUnexpectedEOF})
		for _, other := range kinds() {
			if got, want := errors.Is(err, other.kind), k.kind == other.kind; got != want {
				t.Errorf("errors.Is(%v, %v) = %v", err, other.kind, got)
			}
		}
		var e *transport.Error
		if !errors.As(err, &e) || e.Kind != k.kind {
			t.Errorf("errors.As(%v) gives %v", err, e)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v hides its cause", err)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  transport.Error
		want string
	}{
		{transport.Error{}, "unknown outcome"},
		{transport.Error{Kind: transport.KindThrottled, Code: "ThrottlingException"}, "throttled: ThrottlingException"},
		{transport.Error{Kind: transport.KindUnknown, Err: io.EOF}, "unknown outcome: EOF"},
		{
			transport.Error{
				Kind: transport.KindConflict, Code: "ConflictException", Message: "another operation is in progress",
				HTTPStatusCode: 409, RequestID: "r-1", Err: io.EOF,
			},
			"conflict: ConflictException: another operation is in progress (HTTP 409, request r-1)",
		},
		{transport.Error{Kind: transport.KindInternal, HTTPStatusCode: 500}, "internal error (HTTP 500)"},
		{transport.Error{Kind: transport.KindNotFound, RequestID: "r-2"}, "not found (request r-2)"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func ExampleKind() {
	err := fmt.Errorf("start lab/ws-1: %w", &transport.Error{
		Kind: transport.KindThrottled, Code: "ThrottlingException", HTTPStatusCode: 429,
	})
	fmt.Println(errors.Is(err, transport.KindThrottled))
	var e *transport.Error
	fmt.Println(errors.As(err, &e), e.HTTPStatusCode, e.Kind.Refusal())
	// Output:
	// true
	// true 429 true
}

// TestKindText writes each kind as a word, and reads it again.
func TestKindText(t *testing.T) {
	t.Parallel()
	for n := range 256 {
		k := transport.Kind(n)
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got := transport.Kind(77)
		if err := got.UnmarshalText(text); err != nil || got != k {
			t.Errorf("%s is read as %d (%v), want %d", text, got, err, k)
		}
	}
	for _, word := range []string{"", "not found", "kind_3", "kind_999", "kind_-1", "preempted"} {
		k := transport.KindConflict
		if err := k.UnmarshalText([]byte(word)); err == nil || !strings.Contains(err.Error(), strconv.Quote(word)) || k != transport.KindConflict {
			t.Errorf("%q is read as %v (%v)", word, k, err)
		}
	}
}
