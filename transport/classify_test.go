package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// TestClassifyReal makes the errors as net and net/http really return them. NotSent on a
// request that was sent could become a second start.
func TestClassifyReal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail    func(t *testing.T) error
		kind    transport.Kind
		notSent bool
	}{
		"dial refused":                        {dialRefused, transport.KindUnreachable, true},
		"proxy refused":                       {proxyRefused, transport.KindUnreachable, true},
		"name not found":                      {nameNotFound, transport.KindUnreachable, true},
		"certificate of an unknown authority": {unknownAuthority, transport.KindUnreachable, true},
		"certificate of another name":         {anotherName, transport.KindUnreachable, true},
		"HTTP where TLS was expected":         {plainServer, transport.KindUnreachable, true},
		"no TLS at all":                       {noTLS, transport.KindUnreachable, true},
		"no answer in time":                   {noAnswer, transport.KindUnknown, false},
		"cut after the request":               {cutAfterRequest, transport.KindUnknown, false},
		"cut within the answer":               {cutWithinAnswer, transport.KindUnknown, false},
		"certificate demanded":                {certificateDemanded, transport.KindUnknown, false},
		"cancelled":                           {cancelled, transport.KindUnknown, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cause := test.fail(t)
			if cause == nil {
				t.Fatal("the call did not fail")
			}
			wantClass(t, fmt.Errorf("calling: %w", cause), test.kind, test.notSent)
		})
	}
}

// TestClassifyMade has the errors that loopback cannot produce.
func TestClassifyMade(t *testing.T) {
	t.Parallel()
	op := func(op string, err error) error {
		return &url.Error{Op: "Post", URL: "https://x.test", Err: &net.OpError{Op: op, Net: "tcp", Err: err}}
	}
	record := tls.RecordHeaderError{Msg: "oversized record"}
	first := record
	first.Conn = &net.TCPConn{}
	for name, test := range map[string]struct {
		err     error
		kind    transport.Kind
		notSent bool
	}{
		"no route":               {op("dial", syscall.EHOSTUNREACH), transport.KindUnreachable, true},
		"network down":           {op("dial", syscall.ENETUNREACH), transport.KindUnreachable, true},
		"dial timed out":         {op("dial", context.DeadlineExceeded), transport.KindUnreachable, true},
		"DNS timed out":          {op("dial", &net.DNSError{IsTimeout: true}), transport.KindUnreachable, true},
		"reset while reading":    {op("read", syscall.ECONNRESET), transport.KindUnknown, false},
		"broken while writing":   {op("write", syscall.EPIPE), transport.KindUnknown, false},
		"no route while reading": {op("read", syscall.EHOSTUNREACH), transport.KindUnknown, false},
		"alert while reading":    {op("remote error", tls.AlertError(42)), transport.KindUnknown, false},
		"bare alert":             {tls.AlertError(80), transport.KindUnknown, false},
		"first record foreign":   {first, transport.KindUnreachable, true},
		"later record foreign":   {record, transport.KindUnknown, false},
		"end of file":            {io.ErrUnexpectedEOF, transport.KindUnknown, false},
		"deadline":               {context.DeadlineExceeded, transport.KindUnknown, false},
		"something else":         {errors.New("something else"), transport.KindUnknown, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantClass(t, test.err, test.kind, test.notSent)
		})
	}
}

func TestClassifyKeepsErrors(t *testing.T) {
	t.Parallel()
	if err := transport.Classify(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	verdict := &transport.Error{Kind: transport.KindThrottled}
	if err := transport.Classify(fmt.Errorf("wrapped: %w", verdict)); err != error(verdict) {
		t.Errorf("an *Error became %v", err)
	}
}

func wantClass(t *testing.T, cause error, kind transport.Kind, notSent bool) {
	t.Helper()
	err := transport.Classify(cause)
	var e *transport.Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || e.NotSent != notSent {
		t.Errorf("%v (%T): %+v, want %v, not sent %v", cause, errors.Unwrap(cause), err, kind, notSent)
	}
	if !errors.Is(err, cause) {
		t.Errorf("%v hides its cause", err)
	}
}

// post sends a request by a client of its own and returns the error.
func post(ctx context.Context, t *testing.T, to string, tr *http.Transport) error {
	t.Helper()
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.ReadAll(res.Body)
	return err
}

// closedPort returns a loopback address on which no process listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// raw returns a server that calls a function for each connection.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func dialRefused(t *testing.T) error {
	return post(t.Context(), t, "http://"+closedPort(t), &http.Transport{})
}

func proxyRefused(t *testing.T) error {
	proxy := &url.URL{Scheme: "http", Host: closedPort(t)}
	return post(t.Context(), t, "http://studio.test/", &http.Transport{Proxy: http.ProxyURL(proxy)})
}

// nameNotFound asks a resolver on loopback that answers nothing but "no".
func nameNotFound(t *testing.T) error {
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dns.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 4 {
				buf[2], buf[3] = buf[2]|0x80, 0x83 // an answer: NXDOMAIN
				_, _ = dns.WriteTo(buf[:n], from)
			}
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	return post(t.Context(), t, "http://studio.test/", &http.Transport{
		DialContext: (&net.Dialer{Resolver: resolver}).DialContext,
	})
}

func tlsServer(t *testing.T) *httptest.Server {
	t.Helper()
	return quiet(t, nil, func(http.ResponseWriter, *http.Request) { t.Error("the server got a request") })
}

// quiet is a TLS server that does not log the handshakes that it refuses.
func quiet(t *testing.T, c *tls.Config, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = c
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func unknownAuthority(t *testing.T) error {
	return post(t.Context(), t, tlsServer(t).URL, &http.Transport{})
}

func anotherName(t *testing.T) error {
	s := tlsServer(t)
	tr := s.Client().Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.ServerName = "another.test"
	return post(t.Context(), t, s.URL, tr)
}

func plainServer(t *testing.T) error {
	addr := raw(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	// Only http.Client words this error differently.
	res, err := (&http.Client{Transport: tr}).Post("https://"+addr, "", nil)
	if err == nil {
		_ = res.Body.Close()
	}
	return err
}

func noTLS(t *testing.T) error {
	addr := raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-none\r\n") })
	return post(t.Context(), t, "https://"+addr, &http.Transport{})
}

// gotRequest reads a request, so that the following bytes are sent after it.
func gotRequest(c net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_ = req.Body.Close()
	}
}

func noAnswer(t *testing.T) error {
	addr := raw(t, func(c net.Conn) {
		gotRequest(c)
		_, _ = io.Copy(io.Discard, c)
	})
	return post(t.Context(), t, "http://"+addr, &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond})
}

func cutAfterRequest(t *testing.T) error {
	return post(t.Context(), t, "http://"+raw(t, gotRequest), &http.Transport{})
}

func cutWithinAnswer(t *testing.T) error {
	addr := raw(t, func(c net.Conn) {
		gotRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"session\":")
	})
	return post(t.Context(), t, "http://"+addr, &http.Transport{})
}

// certificateDemanded is a server that requires a client certificate. With TLS 1.3 it
// refuses the client only after the client may have written its request.
func certificateDemanded(t *testing.T) error {
	s := quiet(t, &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}, http.NotFound)
	return post(t.Context(), t, s.URL, s.Client().Transport.(*http.Transport).Clone())
}

func cancelled(t *testing.T) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := raw(t, func(c net.Conn) {
		gotRequest(c)
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	return post(ctx, t, "http://"+addr, &http.Transport{})
}
