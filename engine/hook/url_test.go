package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestSign compares with a value that another program made:
//
//	printf '1767225600.{"text":"hello"}' | openssl dgst -sha256 -hmac 'open sesame'
func TestSign(t *testing.T) {
	t.Parallel()
	got := Sign("open sesame", "1767225600", []byte(`{"text":"hello"}`))
	if want := "v1=5efdd2747ddb95123784e9376ff4b7b54efad95bf4b7bd576b2af393dec5678d"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// receiver is a server that hooks post to, on loopback.
func receiver(t *testing.T, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a server notices only then that its client has gone
		r.Body = io.NopCloser(bytes.NewReader(body))
		handle(w, r)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func sample() *delivery {
	w := &worker{hook: Hook{Name: "chat"}}
	return w.make(delivery{Topic: TopicFailed, At: time.Unix(1767225600, 0), Text: "lab/ws-1 FAILED"}, "event", "1")
}

// TestPost: a URL gets the delivery with its headers, and the signature fits the body.
func TestPost(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	d := sample()
	if err := newURLSender(Hook{Name: "chat", URL: s.URL + "/in", Secret: "open sesame"}).send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Rouse-Hook": "chat", "Rouse-Delivery": d.id,
		"Rouse-Signature": Sign("open sesame", header.Get("Rouse-Timestamp"), body),
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	at, err := strconv.ParseInt(header.Get("Rouse-Timestamp"), 10, 64)
	if age := time.Since(time.Unix(at, 0)); err != nil || age < -time.Minute || age > time.Minute {
		t.Errorf("Rouse-Timestamp: %q", header.Get("Rouse-Timestamp"))
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil || got["text"] != "lab/ws-1 FAILED" || got["id"] != d.id || got["topic"] != "failed" || got["at"] != "2026-01-01T00:00:00Z" {
		t.Errorf("%s, %v", body, err)
	}
	header = nil
	if err := newURLSender(Hook{Name: "chat", URL: s.URL}).send(t.Context(), d); err != nil || header.Get("Rouse-Signature") != "" {
		t.Errorf("without a secret: %v, signature %q", err, header.Get("Rouse-Signature"))
	}
}

// TestHostileReceivers: whatever a receiver does, a try ends in time, and its error
// shows neither the URL's path nor the answer.
func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	const path = "/services/T000/planted-secret"
	var elsewhere atomic.Int64
	other := receiver(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	endless := func(w http.ResponseWriter, r *http.Request) {
		part := make([]byte, 64<<10)
		for range 1 << 14 { // 1 GiB
			if _, err := w.Write(part); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}
	answer := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, "planted-secret")
		}
	}
	redirect := func(to string, code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to+"/planted-secret", code) }
	}
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		url    string
		want   string // part of the error; "": success
	}{
		"hangs":                    {handle: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: "deadline exceeded"},
		"fails with 1 GiB":         {handle: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); endless(w, r) }, want: "status 500 Internal Server Error"},
		"succeeds with 1 GiB":      {handle: endless},
		"succeeds and hangs":       {handle: func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() }},
		"refuses":                  {handle: answer(403), want: "status 403 Forbidden"},
		"made-up status":           {handle: answer(799), want: "status 799"},
		"redirects to another":     {handle: redirect(other.URL, 307), want: "redirects to " + strings.TrimPrefix(other.URL, "http://")},
		"redirects for good":       {handle: redirect(other.URL, 308), want: "follows no redirect"},
		"redirects and changes":    {handle: redirect(other.URL, 303), want: "follows no redirect"},
		"redirects to nowhere":     {handle: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }, want: "redirects to another address"},
		"nothing listens":          {url: closed.URL, want: "connection refused"},
		"no host of that name":     {url: "http://rouse.invalid", want: "rouse.invalid gave no answer"},
		"the connection is closed": {handle: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "EOF"},
		"endless header": {url: raw(t, func(c net.Conn) {
			_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := fmt.Fprintf(c, "X-A: %s\r\n", strings.Repeat("a", 1000)); err != nil {
					return
				}
			}
		}), want: "gave no answer"},
		"no HTTP": {url: raw(t, func(c net.Conn) { _, _ = fmt.Fprint(c, "planted-secret\r\n\r\n") }), want: "not valid HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := test.url
			if to == "" {
				to = receiver(t, test.handle).URL
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			err := newURLSender(Hook{Name: "chat", URL: to + path, Secret: "open sesame"}).send(ctx, sample())
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case err != nil && (strings.Contains(err.Error(), "planted-secret") || strings.Contains(err.Error(), "open sesame")):
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if elsewhere.Load() != 0 {
			t.Errorf("a redirect was followed %d times", elsewhere.Load())
		}
	})
}

// raw is a server that does not speak HTTP: it reads a request's beginning, and says.
func raw(t *testing.T, say func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = c.Read(make([]byte, 4096))
			say(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// TestSecretsOfProxies: an error does not show the password of a proxy.
func TestSecretsOfProxies(t *testing.T) {
	t.Parallel()
	s := newURLSender(Hook{Name: "chat", URL: "http://rouse.invalid/in"})
	s.client.Transport.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://ada:planted-secret@%zz/")
	}
	if err := s.send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("%v", err)
	}
}
