package nimble_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// refsOf returns the refs of sessions of the studio lab.
func refsOf(ids ...string) []transport.Ref {
	out := make([]transport.Ref, len(ids))
	for i, id := range ids {
		out[i] = transport.Ref{StudioID: lab, SessionID: id}
	}
	return out
}

func numbered(n int, format string) []transport.Ref {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(format, i)
	}
	return refsOf(ids...)
}

// counting counts a provider's lists and single reads, and records the longest URL.
type counting struct{ lists, gets, longest atomic.Int64 }

func (c *counting) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/streaming-sessions") {
			c.lists.Add(1)
		} else {
			c.gets.Add(1)
		}
		if n := int64(len(r.RequestURI)); n > c.longest.Load() {
			c.longest.Store(n)
		}
		h.ServeHTTP(w, r)
	})
}

func (c *counting) want(t *testing.T, lists, gets int64) {
	t.Helper()
	if c.lists.Load() != lists || c.gets.Load() != gets {
		t.Errorf("%d lists and %d reads, want %d and %d", c.lists.Load(), c.gets.Load(), lists, gets)
	}
}

// wantAll checks that each result is about its ref, and READY.
func wantAll(t *testing.T, refs []transport.Ref, results []transport.Result) {
	t.Helper()
	if len(results) != len(refs) {
		t.Fatalf("%d results of %d refs", len(results), len(refs))
	}
	for i, r := range results {
		if r.Err != nil || r.Session.Ref != refs[i] || r.Session.State != fsm.StateReady {
			t.Errorf("%s: %s is %s, %v", refs[i], r.Session.Ref, r.Session.State, r.Err)
		}
	}
}

func ready(refs ...transport.Ref) *studio.Studio {
	s := studio.New(studio.Config{})
	for _, ref := range refs {
		s.Put(transport.Session{Ref: ref, State: fsm.StateReady})
	}
	return s
}

func TestBatch(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		refs        []transport.Ref
		lists, gets int64
	}{
		{"none", nil, 0, 0},
		{"one", refsOf("a"), 0, 1},
		{"two", refsOf("b", "a"), 1, 0},
		{"the same twice", refsOf("b", "a", "b"), 1, 0},
		{"a hundred, by pages of fifty", numbered(100, "streaming-session-%02d-1234567890abcdef"), 3, 0}, // the URL limit makes two lists, one of them with two pages
		{"names that need escapes", numbered(20, "%02d"+strings.Repeat("%%", 126)), 2, 0},
		{"names with commas", refsOf("a,b", "a", "b"), 1, 1},
		{"two studios", append(refsOf("a", "b"), transport.Ref{StudioID: "other", SessionID: "a"}, transport.Ref{StudioID: "other", SessionID: "b"}), 2, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var count counting
			server, h := listen(t, count.wrap(open(ready(row.refs...))))
			results, err := dial(server.URL, h).BatchGet(t.Context(), row.refs)
			if err != nil {
				t.Fatal(err)
			}
			wantAll(t, row.refs, results)
			count.want(t, row.lists, row.gets)
			if count.longest.Load() > 8<<10 {
				t.Errorf("a URL of %d bytes", count.longest.Load())
			}
		})
	}
}

func TestBatchLeavesOut(t *testing.T) {
	t.Parallel()
	refs := refsOf("a", "missing", "b")
	refs = append(refs, transport.Ref{StudioID: lab})
	results, err := joined(t, ready(refs[0], refs[2])).BatchGet(t.Context(), refs)
	if err != nil || results[0].Err != nil || results[2].Err != nil {
		t.Fatalf("%+v, %v", results, err)
	}
	e := errorOf(t, results[1].Err)
	if e.Kind != transport.KindNotFound || e.NotSent || e.Context["resourceId"] != "missing" {
		t.Errorf("missing: %v", e)
	}
	if e := errorOf(t, results[3].Err); e.Kind != transport.KindInvalid || !e.NotSent {
		t.Errorf("no name: %v", e)
	}
}

// If a list is refused, or cannot be read, each of its sessions is read once by a call of
// its own.
func TestBatchRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]http.HandlerFunc{
		"invalid":       refuse(400, "ValidationException"),
		"not found":     refuse(404, "ResourceNotFoundException"),
		"denied":        refuse(403, "AccessDeniedException"),
		"rotten member": say(200, `{"sessions":[{"sessionId":"a"},{"sessionId":7}]}`),
		"never ends":    say(200, `{"sessions":[],"nextToken":"again"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refs := refsOf("a", "bad", "b")
			served := open(ready(refs[0], refs[2]))
			var count counting
			server, h := listen(t, count.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/streaming-sessions") {
					list(w, r)
					return
				}
				served.ServeHTTP(w, r)
			})))
			results, err := dial(server.URL, h).BatchGet(t.Context(), refs)
			if err != nil {
				t.Fatal(err)
			}
			wantAll(t, refsOf("a"), results[:1])
			wantAll(t, refsOf("b"), results[2:])
			if !errors.Is(results[1].Err, transport.KindNotFound) {
				t.Errorf("bad: %v", results[1].Err)
			}
			if count.gets.Load() != 3 || count.lists.Load() > 2 {
				t.Errorf("%d lists and %d reads", count.lists.Load(), count.gets.Load())
			}
		})
	}
}

// A list whose pages never end is stopped.
func TestBatchOfEndlessPages(t *testing.T) {
	t.Parallel()
	var page atomic.Int64
	refs := refsOf("a", "b")
	served := open(ready(refs...))
	var count counting
	server, h := listen(t, count.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/streaming-sessions") {
			served.ServeHTTP(w, r)
			return
		}
		say(200, fmt.Sprintf(`{"sessions":[],"nextToken":"%d"}`, page.Add(1)))(w, r)
	})))
	results, err := dial(server.URL, h).BatchGet(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, refs, results)
	count.want(t, paging.GetCalls, 2)
}

// Each ref has one result, whatever a list contains. The client sends few requests, with
// URLs of limited length.
func TestBatchOfHostileLists(t *testing.T) {
	t.Parallel()
	const a, b = `{"sessionId":"a","state":"READY"}`, `{"sessionId":"b","state":"READY"}`
	page := func(sessions, next string) http.HandlerFunc {
		return say(200, `{"sessions":[`+sessions+`],"nextToken":"`+next+`"}`)
	}
	var turn atomic.Int64
	for name, row := range map[string]struct {
		list        http.HandlerFunc
		lists, gets int64 // the most requests that are allowed
	}{
		"twice":            {page(a+","+b+","+a+","+b, ""), 1, 0},
		"others as well":   {page(`{"sessionId":"x"},{},{"sessionId":""},`+a+","+b+`,{"sessionId":"../a"}`, ""), 1, 0},
		"ten thousand":     {page(strings.Repeat(a+",", 10_000)+b, ""), 1, 0},
		"an endless token": {page(a, strings.Repeat("x", 900<<10)), 1, 2},
		"tokens in turn": {func(w http.ResponseWriter, r *http.Request) {
			page(a, fmt.Sprint(turn.Add(1)%2))(w, r)
		}, 3, 2},
		"a token that is a number": {say(200, `{"sessions":[`+a+`],"nextToken":7}`), 1, 2},
		"a token of controls":      {page(a, `\u0000\r\n\u001b[2J`), 2, 2},
		"a list within the list":   {page("["+a+"]", ""), 1, 2},
		"an object for a list":     {say(200, `{"sessions":{"0":`+a+`}}`), 1, 2},
		"null sessions":            {page("null,null,"+a+","+b, ""), 1, 0},
		"the list twice":           {say(200, `{"sessions":[`+a+`],"sessions":[`+a+`,`+b+`]}`), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refs := refsOf("a", "b")
			served := open(ready(refs...))
			var count counting
			server, h := listen(t, count.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/streaming-sessions") {
					row.list(w, r)
					return
				}
				served.ServeHTTP(w, r)
			})))
			results, err := dial(server.URL, h).BatchGet(t.Context(), refs)
			if err != nil {
				t.Fatal(err)
			}
			wantAll(t, refs, results)
			if count.lists.Load() > row.lists || count.gets.Load() > row.gets || count.longest.Load() > 8<<10 {
				t.Errorf("%d lists and %d reads, the longest URL of %d bytes; want at most %d and %d", count.lists.Load(), count.gets.Load(), count.longest.Load(), row.lists, row.gets)
			}
		})
	}
}

// If the provider cannot be reached, or throttles, the client repeats nothing.
func TestBatchThatFails(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   transport.Kind
	}{
		"throttled":   {refuse(429, "ThrottlingException"), transport.KindThrottled},
		"credentials": {refuse(403, "ExpiredTokenException"), transport.KindCredentials},
		"internal":    {refuse(500, "InternalServerErrorException"), transport.KindInternal},
		"page":        {say(404, "<html>"), transport.KindUnreachable},
		"cut":         {cut, transport.KindUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var count counting
			server, h := listen(t, count.wrap(row.answer))
			results, err := dial(server.URL, h).BatchGet(t.Context(), refsOf("a", "b", "c"))
			if results != nil || !errors.Is(err, row.want) {
				t.Errorf("%v, %v; want %v", results, err, row.want)
			}
			if row.want == transport.KindUnknown {
				return // net/http repeats a read by itself
			}
			count.want(t, 1, 0)
		})
	}
}

// The second page is throttled. The results of the first are kept.
func TestBatchHalfway(t *testing.T) {
	t.Parallel()
	answers, _ := inTurn(say(200, `{"sessions":[{"sessionId":"a","state":"READY"}],"nextToken":"2"}`), refuse(429, "ThrottlingException"))
	results, err := answering(t, answers).BatchGet(t.Context(), refsOf("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, refsOf("a"), results[:1])
	if !errors.Is(results[1].Err, transport.KindThrottled) {
		t.Errorf("b: %v", results[1].Err)
	}
}

// Single reads stop if the provider throttles or cannot be reached.
func TestBatchStopsAsking(t *testing.T) {
	t.Parallel()
	var count counting
	answers, _ := inTurn(refuse(400, "ValidationException"), say(200, `{"session":{"sessionId":"a","state":"READY"}}`), refuse(429, "ThrottlingException"))
	server, h := listen(t, count.wrap(answers))
	results, err := dial(server.URL, h).BatchGet(t.Context(), refsOf("a", "b", "c", "d"))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, refsOf("a"), results[:1])
	for _, r := range results[1:] {
		if !errors.Is(r.Err, transport.KindThrottled) {
			t.Errorf("%v, want throttled", r.Err)
		}
	}
	count.want(t, 1, 2)
}
