// Package paging limits what one paged answer of a provider may cost. Every loop that follows
// page tokens uses it, in drivers and in the engine.
//
//	r := paging.New("DescribeInstances", paging.GetCalls)
//	for more := true; more && err == nil; {
//		more, err = r.Page(ctx, func(ctx context.Context) (next string, size int64, err error) {
//			// ask for the page of the token before, and read at most r.Left() bytes
//		})
//	}
package paging

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// The limits of one paged answer.
const (
	GetCalls  = 50          // for named sessions, as in one Get or BatchGet
	ListCalls = 1000        // for all sessions of a studio
	MaxBytes  = 64 << 20    // bytes of all its pages, after decompression
	MaxTime   = time.Minute // time for all its calls
	MaxToken  = 6 << 10     // bytes of one page token, so that a URL with it stays below the 8 KiB that proxies allow
)

// ErrEndless is the cause of each error that names a limit.
var ErrEndless = errors.New("an answer without an end")

// Reader reads one paged answer. Make it by [New]. Only one goroutine may use it.
type Reader struct {
	what  string
	most  int
	calls int
	bytes int64
	spent time.Duration
	seen  map[string]bool // the tokens so far; at most most tokens of MaxToken bytes
}

// New makes a Reader of an answer that takes at most calls calls. Errors call the answer
// what, such as "DescribeInstances".
func New(what string, calls int) *Reader {
	return &Reader{what: what, most: calls, seen: map[string]bool{}}
}

// Left returns how many bytes the next page may have.
func (r *Reader) Left() int64 { return MaxBytes - r.bytes }

// Page makes one call by read. The function read returns the token of the next page, and
// how many bytes this page has, or 0 if that is not known. Page reports whether there is
// another page. If the answer exceeds a limit, the error is a *transport.Error of
// KindInternal that names the limit. Any other error is read's own.
func (r *Reader) Page(ctx context.Context, read func(context.Context) (next string, size int64, err error)) (more bool, err error) {
	if r.calls == r.most {
		return false, r.fault("it has more than %d pages", r.most)
	}
	r.calls++
	over := r.fault("its pages took longer than %v", MaxTime)
	limited, done := context.WithTimeoutCause(ctx, MaxTime-r.spent, over)
	began := time.Now()
	next, size, err := read(limited)
	late := limited.Err() != nil && ctx.Err() == nil
	done()
	r.spent += time.Since(began)
	r.bytes += size
	switch {
	case r.bytes > MaxBytes:
		return false, r.fault("it has more than %d MiB", MaxBytes>>20)
	case late || r.spent >= MaxTime && next != "":
		return false, over
	case err != nil || next == "":
		return false, err
	case len(next) > MaxToken:
		return false, r.fault("page %d has a token of more than %d bytes", r.calls, MaxToken)
	case r.seen[next]:
		return false, r.fault("page %d repeats the token of an earlier page", r.calls)
	}
	r.seen[next] = true
	return true, nil
}

// fault returns the error of a provider whose answer exceeds a limit.
func (r *Reader) fault(format string, args ...any) *transport.Error {
	return &transport.Error{
		Kind:    transport.KindInternal,
		Err:     ErrEndless,
		Message: fmt.Sprintf("the answer to %s does not end: %s", r.what, fmt.Sprintf(format, args...)),
	}
}
