package nimble_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
	"github.com/rouse-dev/rouse/transport/transporttest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	region = "eu-central-1"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	lab    = "lab"
	ws1    = "ws-1"
)

var (
	ref         = transport.Ref{StudioID: lab, SessionID: ws1}
	credentials = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
)

// provide returns a source of fixed credentials.
func provide(c aws.Credentials) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
}

// listen serves h on loopback. It closes its connections at the end, and does not wait
// for them.
func listen(t *testing.T, h http.Handler) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	wire := &http.Transport{}
	t.Cleanup(func() {
		wire.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return server, &http.Client{Transport: wire}
}

// dial returns a client for an endpoint.
func dial(endpoint string, h aws.HTTPClient, optFns ...func(*nimble.Options)) *nimble.Client {
	return nimble.NewFromConfig(aws.Config{
		Region: region, Credentials: provide(credentials), HTTPClient: h, BaseEndpoint: aws.String(endpoint),
	}, optFns...)
}

// joined returns a Client of a Handler that serves p, over loopback.
func joined(t *testing.T, p nimble.Provider, optFns ...func(*nimble.Options)) *nimble.Client {
	t.Helper()
	server, h := listen(t, nimble.Handler(p, nimble.HandlerConfig{Credentials: nimble.Keys(credentials), Region: region}))
	return dial(server.URL, h, optFns...)
}

// answering returns a Client whose requests all get the same answer.
func answering(t *testing.T, h http.HandlerFunc, optFns ...func(*nimble.Options)) *nimble.Client {
	t.Helper()
	server, c := listen(t, h)
	return dial(server.URL, c, optFns...)
}

// errorOf returns err as a *transport.Error, or fails the test.
func errorOf(t *testing.T, err error) *transport.Error {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is not an *transport.Error", err, err)
	}
	return e
}

func TestTransport(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		var lose, hang, offline atomic.Bool
		s := studio.New(studio.Config{Intercept: func(studio.Call) studio.Fault {
			if hang.Load() {
				return studio.Fault{Delay: time.Hour}
			}
			return studio.Fault{Lost: lose.CompareAndSwap(true, false)}
		}})
		server, h := listen(t, nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials)}))
		wire := h.Transport.(*http.Transport)
		wire.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if offline.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("network is unreachable")}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		made := 0
		return transporttest.Subject{
			Transport: dial(server.URL, h),
			Stopped: func() transport.Ref {
				made++
				ref := transport.Ref{StudioID: lab, SessionID: fmt.Sprintf("ws-%d", made)}
				s.Add(ref.StudioID, ref.SessionID)
				return ref
			},
			Missing:    transport.Ref{StudioID: lab, SessionID: "missing"},
			Starts:     s.Effects,
			LoseAnswer: func() { lose.Store(true) },
			Hang:       func() { hang.Store(true) },
			Offline: func(off bool) {
				offline.Store(off)
				wire.CloseIdleConnections()
			},
			Secret: secret,
		}
	})
}

// everything returns a session with all fields that the wire has.
func everything() transport.Session {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8_009_000, time.UTC)
	return transport.Session{
		Ref: ref, State: fsm.StateReady, StatusCode: "STREAMING_SESSION_READY", StatusMessage: "up",
		CreatedBy: "a", OwnedBy: "b", InstanceType: "g5.2xlarge", ImageID: "img",
		Tags:      map[string]string{"shot": "010", "": ""},
		CreatedAt: at, StartedAt: at.Add(1), StoppedAt: at.Add(3), UpdatedAt: at.Add(5),
		Details: nimble.Details{
			ARN: "arn:aws:nimble:eu-central-1:123:streaming-session/ws-1", StartedBy: "c", StoppedBy: "d", UpdatedBy: "e",
			LaunchProfileID: "lp", StopAt: at.Add(2), TerminateAt: at.Add(4),
		},
	}
}

func TestEveryFieldTravels(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	want := everything()
	s.Put(want)
	got, err := joined(t, s).Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if since := time.Since(got.Date); since < -time.Second || since > time.Minute {
		t.Errorf("Date is %v, %v ago", got.Date, since)
	}
	want.Date = got.Date
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Names that need escapes, or look like the client's own templates, reach the provider
// unchanged.
func TestNamesTravel(t *testing.T) {
	t.Parallel()
	names := []string{
		"a", "ws-1", "%2F", "a%20b", "..a", "{sessionId}", "{studioId}", "{sessionId+}", "start", "a+b", "a?b#c",
		"a&b=c", "a;b", "a:b@c", "~!*'()", "a,b", `"<>^|{}` + "`", "[x]", strings.Repeat("%", transport.MaxID),
	}
	s := studio.New(studio.Config{})
	client := joined(t, s)
	tokens := 0
	for _, studioID := range names {
		for _, sessionID := range names {
			ref := transport.Ref{StudioID: studioID, SessionID: sessionID}
			s.Add(studioID, sessionID)
			tokens++
			got, err := client.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: fmt.Sprint(tokens)})
			if err != nil || got.Ref != ref || s.Effects(ref) != 1 {
				t.Errorf("Start(%q) reached %q: %v", ref, got.Ref, err)
			}
			if got, err := client.Get(t.Context(), ref); err != nil || got.Ref != ref {
				t.Errorf("Get(%q): %q, %v", ref, got.Ref, err)
			}
		}
	}
}
