package nimble_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// hostile is what a provider, or a server in its place, writes to the connection of a
// request. It names the error that the client must return.
type hostile struct {
	name string
	say  func(w io.Writer, echo []byte) // echo is the request as the server received it
	kind transport.Kind
	open bool // whether a start may have had its effect
	// lie says that the answer looks like the service's, and the client uses it. Where
	// nothing was started, no client could detect that.
	lie bool
}

// raw writes text unchanged.
func raw(text string) func(io.Writer, []byte) {
	return func(w io.Writer, _ []byte) { _, _ = io.WriteString(w, text) }
}

// http11 returns an answer in the right form.
func http11(status int, body string, headers ...string) func(io.Writer, []byte) {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(body))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return raw(b.String() + "\r\n" + body)
}

// forever writes begin, and then again at intervals without end.
func forever(begin, again string, pause time.Duration) func(io.Writer, []byte) {
	return func(w io.Writer, _ []byte) {
		_, err := io.WriteString(w, begin)
		for err == nil {
			if pause > 0 {
				time.Sleep(pause)
			}
			_, err = io.WriteString(w, again)
		}
	}
}

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func hostiles() []hostile {
	const (
		page     = "<!DOCTYPE html><html><body>Please log in</body></html>"
		html     = "Content-Type: text/html"
		json     = "Content-Type: application/json"
		gzipped  = "Content-Encoding: gzip"
		throttle = "X-Amzn-ErrorType: ThrottlingException"
		ok       = "HTTP/1.1 200 OK\r\n"
	)
	const un, foreign = transport.KindUnknown, transport.KindUnreachable
	x := strings.Repeat
	bomb := packed(`{"session":{"sessionId":"` + x(" ", 64<<20))
	rows := []hostile{
		{"nothing", raw(""), un, true, false},
		{"silence", forever("", "", time.Second), un, true, false},
		{"an answer too late", func(w io.Writer, _ []byte) { time.Sleep(time.Hour); _, _ = io.WriteString(w, ok+"\r\n") }, un, true, false},
		{"a byte a second", forever(ok+"Content-Length: 1000\r\n\r\n", " ", time.Second), un, true, false},
		{"a header byte a second", forever(ok+"X-A: ", "a", time.Second), un, true, false},
		{"a header line a second", forever(ok, "X-A: a\r\n", time.Second), un, true, false},
		{"chunks a byte a second", forever(ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", time.Second), un, true, false},
		{"continue forever", forever("", "HTTP/1.1 100 Continue\r\n\r\n", 20*time.Millisecond), un, true, false},
		{"hints forever", forever("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 20*time.Millisecond), un, true, false},
		{"headers forever", forever(ok, "X-A: "+x("a", 60<<10)+"\r\n", 0), un, true, false},
		{"a header forever", forever(ok+"X-A: ", x("a", 64<<10), 0), un, true, false},
		{"a status line forever", forever("HTTP/1.1 200 ", x("a", 64<<10), 0), un, true, false},
		{"a body forever", forever(ok+"\r\n"+`{"session":{"arn":"`, x("a", 64<<10), 0), un, true, false},
		{"spaces forever", forever(ok+"\r\n", x(" ", 64<<10), 0), un, true, false},
		{"a page forever", forever(ok+"\r\n<html>", x("a", 64<<10), 0), foreign, true, false},
		{"an error forever", forever("HTTP/1.1 500 No\r\n\r\n{", x(" ", 64<<10), 0), un, true, false},
		{"trailers forever", forever(ok+"Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\n{}\r\n0\r\n", "X-A: "+x("a", 1<<10)+"\r\n", 0), un, true, false},
		{"a chunk extension forever", forever(ok+"Transfer-Encoding: chunked\r\n\r\n2;", x("a", 64<<10), 0), un, true, false},

		{"gzip bomb", http11(200, bomb, gzipped), un, true, false},
		{"gzip bomb in an error", http11(500, bomb, gzipped), un, true, false},
		{"gzip twice", http11(200, packed(packed(good)), gzipped), foreign, true, false},
		{"gzip cut", http11(200, packed(good)[:20], gzipped), un, true, false},
		{"gzip that is none", http11(200, good, gzipped), un, true, false},
		{"gzip of a page", http11(200, packed(page), gzipped), foreign, true, false},
		{"brotli", http11(200, "\x8b\x0d\x80", "Content-Encoding: br"), foreign, true, false},

		{"length too long", raw(ok + "Content-Length: 1000\r\n\r\n" + good), un, true, false},
		{"length too short", raw(ok + "Content-Length: 20\r\n\r\n" + good), un, true, false},
		{"length zero", raw(ok + "Content-Length: 0\r\n\r\n" + good), foreign, true, false},
		{"length below zero", raw(ok + "Content-Length: -1\r\n\r\n" + good), un, true, false},
		{"length of the largest number", raw(ok + "Content-Length: 9223372036854775807\r\n\r\n" + good), un, true, false},
		{"length beyond numbers", raw(ok + "Content-Length: 99999999999999999999\r\n\r\n" + good), un, true, false},
		{"two lengths", raw(ok + "Content-Length: 10\r\nContent-Length: 11\r\n\r\n" + good), un, true, false},
		{"rotten chunk", raw(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + good), un, true, false},
		{"chunk cut", raw(ok + "Transfer-Encoding: chunked\r\n\r\nff\r\n" + good), un, true, false},
		{"coding of its own", raw(ok + "Transfer-Encoding: rot13\r\n\r\n" + good), un, true, false},

		{"another protocol", raw("SSH-2.0-OpenSSH_9.6\r\n"), un, true, false},
		{"a mail server", raw("220 mail.example.com ESMTP\r\n"), un, true, false},
		{"a radio", raw("ICY 200 OK\r\n\r\n" + good), un, true, false},
		{"an echo", func(w io.Writer, echo []byte) { _, _ = w.Write(echo) }, un, true, false},
		{"NULs", raw(x("\x00", 1000)), un, true, false},
		{"TLS", raw("\x15\x03\x01\x00\x02\x02\x28"), un, true, false},
		{"HTTP/0.9", raw(page), un, true, false},
		{"HTTP/9.9", raw("HTTP/9.9 200 OK\r\n\r\n" + `{"session":{"sessionId":"ws-1","state":"START_IN_PROGRESS"}}`), 0, true, true},
		{"status of four digits", raw("HTTP/1.1 2000 OK\r\n\r\n" + good), un, true, false},
		{"status below zero", raw("HTTP/1.1 -20 OK\r\n\r\n" + good), un, true, false},
		{"status 0", raw("HTTP/1.1 000 OK\r\n\r\n" + good), foreign, true, false},
		{"status 999", raw("HTTP/1.1 999 No\r\n\r\n" + good), foreign, true, false},
		{"a switch of protocols", raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + good), foreign, true, false},
		{"a header without a colon", raw(ok + "X-A\r\n\r\n" + good), un, true, false},
		{"a header of ANSI", http11(302, "", "Location: /\x1b[2J", "Content-Type: \x1b[31m"), un, true, false},

		{"to the metadata service", http11(307, "", "Location: http://169.254.169.254/latest/meta-data/"), foreign, true, false},
		{"to another host", http11(308, "", "Location: http://other.example.com/2020-08-01/studios/lab/streaming-sessions/ws-1/start"), foreign, true, false},
		{"to itself", http11(307, "", "Location: "+startPath), foreign, true, false},
		{"to a file", http11(302, "", "Location: file:///etc/passwd"), foreign, true, false},
		{"to nowhere", http11(301, "", "Location: ://"), un, true, false},
		{"refresh by header", http11(200, "", "Refresh: 0;url=http://other.example.com/"), foreign, true, false},

		{"200 page", http11(200, page, html), foreign, true, false},
		{"200 page called JSON", http11(200, page, json), foreign, true, false},
		{"200 other JSON", http11(200, `{"status":"ok"}`, json), foreign, true, false},
		{"200 other session", http11(200, `{"session":{"id":"1","loggedIn":false}}`, json), foreign, true, false},
		{"200 two objects", http11(200, good+good), foreign, true, false},
		{"200 object and page", http11(200, good+page), foreign, true, false},
		{"200 BOM", http11(200, "\ufeff"+good), foreign, true, false},
		{"200 NUL", http11(200, "{\"session\":{\"state\":\"\x00\"}}"), foreign, true, false},
		{"200 deep", http11(200, `{"session":`+x("[", 100_000)+x("]", 100_000)+"}"), foreign, true, false},
		{"200 another's session", http11(200, `{"session":{"sessionId":"other","state":"READY"}}`), un, true, false},
		{"302 portal", http11(302, page, "Location: http://portal.example.com/?from="+startPath, html), foreign, true, false},
		{"403 page", http11(403, page, html), foreign, true, false},
		{"404 page", http11(404, page, html), foreign, true, false},
		{"407 proxy", http11(407, page, "Proxy-Authenticate: Basic realm=x"), foreign, true, false},
		{"429 page", http11(429, page, "Retry-After: 86400"), foreign, true, false},
		{"500 page", http11(500, page, html), foreign, true, false},
		{"503 page", http11(503, page, "Retry-After: 999999999"), foreign, true, false},
		{"511 portal", http11(511, page, html), foreign, true, false},

		{"500 that refuses", http11(500, `{"code":"AccessDeniedException"}`, "X-Amzn-ErrorType: AccessDeniedException"), transport.KindInternal, true, false},
		{"500 of a megabyte", http11(500, `{"message":"`+x("é\x1b[2J", 100_000)+`"}`, "X-Amzn-ErrorType: InternalServerErrorException"), transport.KindInternal, true, false},
		{"409 of many words", http11(409, `{"message":"m","context":{"a":"`+x("b", 100_000)+`"}}`, "X-Amzn-ErrorType: "+x("Conflict", 1000)), transport.KindConflict, true, false},
		{"a date in 1970", http11(500, "{}", "X-Amzn-ErrorType: InternalServerErrorException", "Date: Thu, 01 Jan 1970 00:00:00 GMT"), transport.KindInternal, true, false},
		{"a date of 9999", http11(500, "{}", "X-Amzn-ErrorType: InternalServerErrorException", "Date: Fri, 31 Dec 9999 23:59:59 GMT"), transport.KindInternal, true, false},
		{"a clock that is blamed, of 9999", http11(403, "{}", "X-Amzn-ErrorType: RequestTimeTooSkewed", "Date: Fri, 31 Dec 9999 23:59:59 GMT"), transport.KindCredentials, false, false},

		{"a state that a later version may add", http11(200, `{"session":{"sessionId":"ws-1","state":"HIBERNATED"}}`), 0, true, true},
		{"a state in small letters", http11(200, `{"session":{"sessionId":"ws-1","state":"ready"}}`), 0, true, true},
		{"a state of a hundred kilobytes", http11(200, `{"session":{"sessionId":"ws-1","state":"`+x("X", 100_000)+`"}}`), 0, true, true},
		{"a state of ANSI", http11(200, `{"session":{"sessionId":"ws-1","state":"\u001b[2J"}}`), 0, true, true},
		{"no state", http11(200, `{"session":{"sessionId":"ws-1"}}`), 0, true, true},
		{"the session twice", http11(200, `{"session":{"sessionId":"ws-1","state":"READY"},"session":{"state":"START_IN_PROGRESS"}}`), 0, true, true},
		{"started in 9999", http11(200, `{"session":{"sessionId":"ws-1","state":"START_IN_PROGRESS","startedAt":"9999-12-31T23:59:59Z","updatedAt":"9999-12-31T23:59:59Z"}}`), 0, true, true},
		{"started in year 1", http11(200, `{"session":{"sessionId":"ws-1","state":"START_IN_PROGRESS","startedAt":"0001-01-01T00:00:00Z","updatedAt":-62135596800}}`), 0, true, true},
	}
	for _, after := range []string{"-1", "0", "1e9", "999999999999", "99999999999999999999", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "\u0661"} {
		rows = append(rows, hostile{"Retry-After: " + after, http11(429, "{}", throttle, "Retry-After: "+after), transport.KindThrottled, false, false})
	}
	for _, member := range []string{"arn", "createdBy", "ec2InstanceType", "launchProfileId", "ownedBy", "sessionId", "startedBy", "state", "statusCode", "statusMessage", "stoppedBy", "streamingImageId", "updatedBy"} {
		rows = append(rows, hostile{member + " is a number", http11(200, `{"session":{"state":"READY","`+member+`":7}}`), un, true, false})
	}
	for _, member := range []string{"createdAt", "startedAt", "stopAt", "stoppedAt", "terminateAt", "updatedAt"} {
		for what, value := range map[string]string{"a list": "[]", "beyond time": "1e308", "beyond years": `"+292277026596-12-04T15:30:08Z"`} {
			rows = append(rows, hostile{member + " is " + what, http11(200, `{"session":{"sessionId":"ws-1","state":"READY","`+member+`":`+value+`}}`), un, true, false})
		}
	}
	return append(rows, hostile{"tags are a list", http11(200, `{"session":{"state":"READY","tags":["a"]}}`), un, true, false})
}

// cable is a network in memory. It serves every connection by serve, with the request as
// it was sent, and counts requests.
type cable struct {
	serve    func(c net.Conn, r *http.Request, echo []byte)
	requests atomic.Int64
	hosts    sync.Map // addresses that were dialed
	serving  sync.WaitGroup
}

func (n *cable) dial(_ context.Context, _, address string) (net.Conn, error) {
	n.hosts.Store(address, true)
	ours, theirs := net.Pipe()
	n.serving.Go(func() {
		defer func() { _ = theirs.Close() }()
		var echo bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(theirs, &echo)))
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.requests.Add(1)
		n.serve(theirs, r, echo.Bytes())
	})
	return ours, nil
}

// client is an HTTP client on the network. Each request has a connection of its own.
func (n *cable) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 1 << 20}}
}

// TestHostileProvider checks the client's error for each answer. The client needs limited
// time and sends one request to one address.
func TestHostileProvider(t *testing.T) {
	t.Parallel()
	const patience = 30 * time.Second
	rows := hostiles()
	if len(rows) < 60 {
		t.Errorf("%d rows, want 60 and more", len(rows))
	}
	t.Logf("%d rows", len(rows))
	names := map[string]bool{}
	for _, row := range rows {
		if names[row.name] {
			t.Errorf("two rows are named %q", row.name)
		}
		names[row.name] = true
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &cable{serve: func(c net.Conn, _ *http.Request, echo []byte) { row.say(c, echo) }}
				client := dial("http://studio.example.com", n.client())
				for i, call := range []func(context.Context) error{
					func(ctx context.Context) error { return start(ctx, client) },
					func(ctx context.Context) error { _, err := client.Get(ctx, ref); return err },
					func(ctx context.Context) error {
						_, err := client.List(ctx, transport.ListInput{StudioID: lab})
						return err
					},
				} {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					began := time.Now()
					err := call(ctx)
					cancel()
					if took := time.Since(began); took > patience {
						t.Errorf("call %d took %v", i, took)
					}
					if row.lie && i < 2 {
						if err != nil {
							t.Errorf("call %d: %v, want what it says", i, err)
						}
						continue
					}
					e := errorOf(t, err)
					if i == 2 { // an answer that is not a session is not a list either
						if e.NotSent || e.Kind.Refusal() != row.kind.Refusal() {
							t.Errorf("List: %v: kind %v, not sent %v", err, e.Kind, e.NotSent)
						}
						continue
					}
					if open := !e.NotSent && !e.Kind.Refusal(); e.Kind != row.kind || open != row.open {
						t.Errorf("call %d: %v: kind %v, open %v; want %v, %v", i, err, e.Kind, open, row.kind, row.open)
					}
					if e.RetryAfter < 0 || e.RetryAfter > 24*time.Hour || len(e.Message) > 512 {
						t.Errorf("call %d: Retry-After %v, a message of %d bytes", i, e.RetryAfter, len(e.Message))
					}
				}
				n.serving.Wait()
				n.hosts.Range(func(address, _ any) bool {
					if address != "studio.example.com:80" {
						t.Errorf("%v was dialed", address)
					}
					return true
				})
				if got := n.requests.Load(); got != 3 {
					t.Errorf("%d requests for 3 calls", got)
				}
			})
		})
	}
}

// If the answer to a TLS handshake is not TLS, nothing was sent.
func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n", "noise": strings.Repeat("\xff", 64), "an alert": "\x15\x03\x03\x00\x02\x02\x28", "half a record": "\x16\x03\x03\x40\x00", "a record too long": "\x16\x03\x03\xff\xff" + strings.Repeat("x", 100), "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				wire := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() {
						_, _ = theirs.Read(make([]byte, 8<<10))
						_, _ = io.WriteString(theirs, text)
						_ = theirs.Close()
					}()
					return ours, nil
				}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if e := errorOf(t, start(ctx, dial("https://studio.example.com", &http.Client{Transport: wire}))); e.Kind != transport.KindUnreachable || !e.NotSent {
					t.Errorf("%v: kind %v, not sent %v; want unreachable, not sent", e, e.Kind, e.NotSent)
				}
			})
		})
	}
}

// After a provider closes one half of the connection, or resets it, the outcome is
// unknown.
func TestHalfClosedConnections(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*net.TCPConn){
		"writes no more": func(c *net.TCPConn) { _ = c.CloseWrite() },
		"writes no more in the body": func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
			_ = c.CloseWrite()
		},
		"reads no more": func(c *net.TCPConn) {
			_ = c.CloseRead()
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
			_ = c.Close()
		},
		"resets": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				end(c.(*net.TCPConn))
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
				_, _ = io.Copy(io.Discard, c)
			})
			wire := &http.Transport{}
			e := errorOf(t, start(t.Context(), dial("http://"+l.Addr().String(), &http.Client{Transport: wire})))
			if e.Kind != transport.KindUnknown || e.NotSent {
				t.Errorf("%v: kind %v, not sent %v; want unknown", e, e.Kind, e.NotSent)
			}
			wire.CloseIdleConnections()
			_ = l.Close()
			serving.Wait()
		})
	}
}
