package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// The server as main configures it, and what attackers write to its socket. The server
// requires no signature, so that nothing is refused for the lack of one.

const (
	sessions = "/2020-08-01/studios/lab/streaming-sessions"
	get      = "GET " + sessions + "/ws-1 HTTP/1.1\r\nHost: studio\r\n\r\n"
	start    = "POST " + sessions + "/ws-1/start HTTP/1.1\r\nHost: studio\r\nX-Amz-Client-Token: t\r\n"
)

// abused is the server of main, on a socket.
func abused(t *testing.T) net.Addr {
	t.Helper()
	s, err := parse([]string{"-addr", "127.0.0.1:0", "-any"}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	server := s.server(studio.New(s.studio), slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr()
}

// connect opens a connection with a deadline.
func connect(t *testing.T, to net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// statuses reads answers until the connection ends.
func statuses(t *testing.T, c net.Conn) []int { return answers(t, bufio.NewReader(c), 1000) }

func answers(t *testing.T, r *bufio.Reader, most int) (out []int) {
	t.Helper()
	for len(out) < most {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "reset") {
				return out
			}
			t.Fatalf("after %v: %v", out, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		out = append(out, resp.StatusCode)
	}
	return out
}

// TestRawAbuse writes bytes, reads the expected answers, and checks that no other answer
// follows. If the bytes end within a request, it closes its half of the connection first.
// None of it starts a session.
func TestRawAbuse(t *testing.T) {
	t.Parallel()
	at := abused(t)
	x := strings.Repeat
	smuggled := start + "\r\n"
	rows := []struct {
		name, send string
		want       []int
	}{
		{"nothing", "", nil},
		{"line feeds", "\r\n\r\n\r\n", []int{400}},
		{"noise", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", []int{400}},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + x("x", 500) + "\r\n\r\n", []int{400}},
		{"HTTP/0.9", "GET " + sessions + "\r\n\r\n", []int{400}},
		{"HTTP/1.0", "GET " + sessions + "/ws-1 HTTP/1.0\r\n\r\n", []int{200}},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}},
		{"HTTP/9.9", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", []int{505}},
		{"http in small letters", "GET / http/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"no version", "GET / HTTP\r\nHost: x\r\n\r\n", []int{400}},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"method of brackets", "G{T / HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"no method", " / HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"half a request line", "GET /2020", []int{400}},
		{"half a header", "GET / HTTP/1.1\r\nHost: x\r\nX-A", []int{400}},
		{"line feeds alone", "GET " + sessions + "/ws-1 HTTP/1.1\nHost: x\n\n", []int{200}},

		{"absolute target", "GET http://other.example.com" + sessions + "/ws-1 HTTP/1.1\r\nHost: studio\r\n\r\n", []int{200}},
		{"absolute target of another scheme", "GET ftp://x/y HTTP/1.1\r\nHost: studio\r\n\r\n", []int{404}},
		{"file target", "GET file:///etc/passwd HTTP/1.1\r\nHost: studio\r\n\r\n", []int{404}},
		{"authority target", "CONNECT other.example.com:443 HTTP/1.1\r\nHost: studio\r\n\r\n", []int{404}},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: studio\r\n\r\n", []int{200}},
		{"asterisk of GET", "GET * HTTP/1.1\r\nHost: studio\r\n\r\n", []int{404}},
		{"relative target", "GET 2020-08-01 HTTP/1.1\r\nHost: studio\r\n\r\n", []int{400}},
		{"two slashes", "GET //other.example.com/ HTTP/1.1\r\nHost: studio\r\n\r\n", []int{404}},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"ANSI in the target", "GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"bad UTF-8 in the target", "GET " + sessions + "/\xff HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"rotten escape", "GET " + sessions + "/%zz HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"fragment", "GET " + sessions + "/ws-1#x HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		{"CRLF in the target", "GET " + sessions + "/ws-1%0d%0aX:1 HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},

		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400}},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}},
		{"two hosts the same", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", []int{400}},
		{"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", []int{400}},
		{"host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", []int{400}},
		{"NUL in a header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n", []int{400}},
		{"ANSI in a header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: \x1b[2J\r\n\r\n", []int{400}},
		{"CR in a header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n", []int{400}},
		{"bad UTF-8 in a header", "GET " + sessions + "/ws-1 HTTP/1.1\r\nHost: x\r\nX-A: \xff\xfe\r\n\r\n", []int{200}},
		{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nX-A\r\n\r\n", []int{400}},
		{"no name", "GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", []int{400}},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nX-A : a\r\n\r\n", []int{400}},
		{"a line folded first", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", []int{400}},

		{"length and chunks", start + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", []int{400}},
		{"length and chunks, the rest a request", start + "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n" + "GET / HTTP/1.1\r\nHost: x\r\n\r\n", []int{400, 404}},
		{"two lengths", start + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]x", []int{400}},
		{"two lengths in one", start + "Content-Length: 2, 3\r\n\r\n[]x", []int{400}},
		{"two lengths the same", start + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n[]", []int{400}},
		{"length with a plus", start + "Content-Length: +2\r\n\r\n[]", []int{400}},
		{"length below zero", start + "Content-Length: -2\r\n\r\n[]", []int{400}},
		{"length in hexadecimal", start + "Content-Length: 0x2\r\n\r\n[]", []int{400}},
		{"length beyond numbers", start + "Content-Length: 99999999999999999999\r\n\r\n[]", []int{400}},
		{"length of nothing", start + "Content-Length:\r\n\r\n[]", []int{400}},
		{"length longer than the body", start + "Content-Length: 9\r\n\r\n[]", []int{400}},
		{"length longer than allowed", start + "Content-Length: 104857600\r\n\r\n[]", []int{413}},
		{"length of the largest number", start + "Content-Length: 9223372036854775807\r\n\r\n[]", []int{413}},
		{"chunks of another name", start + "Transfer-Encoding: xchunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", []int{501}},
		{"chunks twice", start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", []int{501}},
		{"chunks after identity", start + "Transfer-Encoding: identity, chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", []int{501}},
		{"chunks of gzip", start + "Transfer-Encoding: gzip\r\n\r\n[]", []int{501}},
		{"bad chunk size", start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n", []int{400}},
		{"chunk size below zero", start + "Transfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n0\r\n\r\n", []int{400}},
		{"chunk size beyond numbers", start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]\r\n0\r\n\r\n", []int{400}},
		{"chunk that is cut", start + "Transfer-Encoding: chunked\r\n\r\n9\r\n[]", []int{400}},
		{"chunks without an end", start + "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", []int{400}},
		{"chunks beyond the limit", start + "Transfer-Encoding: chunked\r\n\r\n20000\r\n" + x(" ", 0x20000) + "\r\n0\r\n\r\n", []int{413}},
		{"chunk of a long extension", start + "Transfer-Encoding: chunked\r\n\r\n2;" + x("x", 64<<10) + "\r\n[]\r\n0\r\n\r\n", []int{400}},
		{"another expectation", start + "Expect: miracles\r\nContent-Length: 2\r\n\r\n[]", []int{417}},
		{"an expectation beyond the limit", start + "Expect: 100-continue\r\nContent-Length: 104857600\r\n\r\n", []int{413}},

		{"a request in a body", "POST " + sessions + "/ws-2/start HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled, []int{400}},
		{"a request in a body of GET", "GET " + sessions + "/ws-2 HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(smuggled)) + "\r\n\r\n" + smuggled, []int{200}},
		{"noise after a request", get + "noise\r\n\r\n", []int{200, 400}},
		{"fifty requests at once", x(get, 50), []int{
			200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200,
			200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200,
		}},
		{"good, bad, and one that is not read", get + "GET / HTTP/1.1\r\n\r\n" + get, []int{200, 400}},
		{"an upgrade", "GET " + sessions + "/ws-1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", []int{200}},
		{"a method by a header", "GET " + sessions + "/ws-1 HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", []int{200}},
		{"a path by a header", "GET / HTTP/1.1\r\nHost: x\r\nX-Original-URL: " + sessions + "/ws-1\r\nX-Rewrite-URL: " + sessions + "/ws-1\r\n\r\n", []int{404}},

		{"a long header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + x("x", 64<<10) + "\r\n\r\n", []int{431}},
		{"many headers", "GET / HTTP/1.1\r\nHost: x\r\n" + x("X-A: 1\r\n", 10_000) + "\r\n", []int{431}},
		{"a long target", "GET /" + x("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}},
		{"a long method", x("G", 64<<10) + " / HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}},
	}
	half := map[string]bool{
		"nothing": true, "line feeds": true, "noise": true, "half a request line": true, "half a header": true, "length longer than the body": true, "chunk that is cut": true, "chunks without an end": true,
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := connect(t, at)
			go func() {
				_, _ = io.WriteString(c, row.send)
				if half[row.name] {
					_ = c.CloseWrite()
				}
			}()
			r := bufio.NewReader(c)
			got := answers(t, r, len(row.want))
			_ = c.CloseWrite()
			if got = append(got, answers(t, r, 100)...); fmt.Sprint(got) != fmt.Sprint(row.want) {
				t.Errorf("answered %v, want %v", got, row.want)
			}
		})
	}
	if got, err := client("http://"+at.String(), secret).Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "ws-1"}); err != nil || got.State != fsm.StateStopped {
		t.Errorf("ws-1 is %s, %v", got.State, err)
	}
}

// memory returns how many bytes were allocated so far.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestEndlessHeader checks that a header of 100 MB is neither read to its end nor kept.
func TestEndlessHeader(t *testing.T) {
	at := abused(t)
	c := connect(t, at)
	before := memory()
	written := 0
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
		for written < 100<<20 {
			n, err := c.Write(chunk)
			if written += n; err != nil {
				break
			}
		}
		_ = c.CloseWrite()
	}()
	if got := statuses(t, c); len(got) > 1 || len(got) == 1 && got[0] != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %v, want 431, or the connection cut", got)
	}
	if used := memory() - before; used > 2<<20 {
		t.Errorf("%d bytes allocated for it", used)
	}
}

var chunk = []byte(strings.Repeat("x", 32<<10))

// pipes is a network in memory, whose time is the bubble's.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.conns) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowClients checks that a slow client is cut off at the time that the limits say.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		send  string        // written at once
		drip  string        // written a byte a second
		reads bool          // the answers
		good  int           // how many answers are 200
		after time.Duration // when the connection ends
	}{
		"says nothing":          {reads: true, after: 5 * time.Second},
		"slow request line":     {drip: get, reads: true, after: 5 * time.Second},
		"slow header":           {send: "GET / HTTP/1.1\r\nHost: x\r\nX-A: ", drip: strings.Repeat("x", 1000), reads: true, after: 5 * time.Second},
		"header without an end": {send: "GET / HTTP/1.1\r\nHost: x\r\n", reads: true, after: 5 * time.Second},
		"slow body":             {send: start + "Content-Length: 1000\r\n\r\n", drip: strings.Repeat(" ", 1000), reads: true, after: 10 * time.Second},
		"body that stops":       {send: start + "Content-Length: 1000\r\n\r\n{", reads: true, after: 10 * time.Second},
		"slow chunks":           {send: start + "Transfer-Encoding: chunked\r\n\r\n", drip: strings.Repeat("1\r\n \r\n", 100), reads: true, after: 10 * time.Second},
		"idle after an answer":  {send: get, reads: true, good: 1, after: time.Minute},
		"slow second request":   {send: get, drip: get, reads: true, good: 1, after: 9 * time.Second},
		"reads no answer":       {send: get, after: 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, err := parse([]string{"-any"}, func(string) string { return "" }, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				server := s.server(studio.New(s.studio), slog.New(slog.DiscardHandler))
				l := &pipes{conns: make(chan net.Conn)}
				ended := make(chan error, 1)
				go func() { ended <- server.Serve(l) }()
				theirs, ours := net.Pipe()
				l.conns <- theirs
				began := time.Now()
				written := make(chan struct{})
				go func() {
					defer close(written)
					if _, err := io.WriteString(ours, row.send); err != nil {
						return
					}
					for i := range len(row.drip) {
						time.Sleep(time.Second)
						if _, err := ours.Write([]byte{row.drip[i]}); err != nil {
							return
						}
					}
				}()
				var got []int
				if row.reads {
					got = statuses(t, ours)
				} else {
					for _, err := ours.Write(nil); err == nil; _, err = ours.Write([]byte("\r\n")) {
						time.Sleep(100 * time.Millisecond)
					}
				}
				if took := time.Since(began); took < row.after || took > row.after+2*time.Second {
					t.Errorf("cut off after %v, want %v", took, row.after)
				}
				good := 0
				for _, status := range got {
					if status == http.StatusOK {
						good++
					}
				}
				if good != row.good || len(got) > row.good+1 {
					t.Errorf("answered %v, want %d answers of 200", got, row.good)
				}
				if slowBody := row.after == 10*time.Second; slowBody && fmt.Sprint(got) != "[408]" {
					t.Errorf("answered %v, want an answer about the slow body", got)
				}
				_ = ours.Close()
				<-written
				_ = server.Close()
				<-ended
			})
		})
	}
}

// TestCrowdOfSlowClients checks that five hundred silent connections do not keep other
// clients from an answer.
func TestCrowdOfSlowClients(t *testing.T) {
	t.Parallel()
	at := abused(t)
	for range 500 {
		c := connect(t, at)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "); err != nil {
			t.Fatal(err)
		}
	}
	c := client("http://"+at.String(), secret)
	slowest := time.Duration(0)
	for i := range 100 {
		began := time.Now()
		if _, err := c.Start(t.Context(), transport.StartInput{Ref: transport.Ref{StudioID: "crowd", SessionID: fmt.Sprint("ws-", i)}, ClientToken: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(began))
	}
	if t.Logf("the slowest of 100 answers took %v", slowest); slowest > 5*time.Second {
		t.Errorf("an answer took %v", slowest)
	}
}
