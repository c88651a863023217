package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// The crash test: 500 starts from 50 goroutines in a process that is killed
// with SIGKILL 20 times at random instants, over a transport that loses one
// answer in five. The provider is another process: this one.
const (
	crashStarts  = 500
	crashCallers = 50
	crashKills   = 20
	crashEnv     = "ROUSE_CRASH_HOST" // the file and the endpoint, in the host's process
)

func TestMain(m *testing.M) {
	if env := os.Getenv(crashEnv); env != "" {
		if err := crashHost(env); err != nil {
			fmt.Fprintln(os.Stderr, "host:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func crashToken(n int) string { return "token-" + strconv.Itoa(n) }

func crashRef(n int) engine.Ref {
	return engine.Ref{StudioID: "studio-" + strconv.Itoa(n%5), SessionID: "ws-" + strconv.Itoa(n)}
}

var crashKeys = aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}

// crashHost asks for everything, says what was acknowledged, and ends when all
// has ended.
func crashHost(env string) error {
	path, endpoint, _ := strings.Cut(env, "|")
	client := nimble.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return crashKeys, nil }),
	}, func(o *nimble.Options) { o.TokenMemory, o.StaleFor = time.Hour, time.Millisecond })
	e, err := engine.Open(path, client, engine.Config{
		Timeout: 300 * time.Millisecond,
		Lane:    func(string) engine.LaneConfig { return engine.LaneConfig{Rate: 1000, Concurrency: 32} },
	})
	if err != nil {
		return err
	}
	defer e.Close()
	ctx := context.Background()
	go e.Run(ctx)
	var wg sync.WaitGroup
	for c := range crashCallers {
		wg.Go(func() {
			for n := c; n < crashStarts; n += crashCallers {
				time.Sleep(rand.N(60 * time.Millisecond)) // callers come when they come
				r, err := e.Start(ctx, engine.Request{Ref: crashRef(n), ClientToken: crashToken(n)})
				if err != nil {
					fmt.Fprintln(os.Stderr, "host: start:", err)
					continue
				}
				fmt.Println(r.Operation.ID, n)
			}
		})
	}
	wg.Wait()
	for n := range crashStarts {
		r, err := e.Start(ctx, engine.Request{Ref: crashRef(n), ClientToken: crashToken(n)}) // verbatim, again
		if err != nil {
			return err
		}
		if _, err := e.Wait(ctx, r.Operation.ID); err != nil {
			return err
		}
	}
	return nil
}

func TestCrash(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var calls, lost atomic.Int64
	s := studio.New(studio.Config{Boot: 200 * time.Millisecond, Intercept: func(c studio.Call) studio.Fault {
		n := calls.Add(1)
		if n%5 == 0 && c.Action == studio.Start {
			lost.Add(1)
		}
		switch {
		case n%20 == 5: // on its way to the provider
			return studio.Fault{Err: &transport.Error{Kind: transport.Unknown}}
		case n%5 == 0: // on its way back: the effect has happened
			return studio.Fault{Lost: true}
		}
		return studio.Fault{}
	}})
	for n := range crashStarts {
		s.Add(crashRef(n).StudioID, crashRef(n).SessionID)
	}
	server := httptest.NewServer(nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(crashKeys)}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "rouse.db")

	acked := map[engine.ID]int{}
	for range crashKills {
		host := startHost(t, path, server.URL, acked)
		time.Sleep(50*time.Millisecond + time.Duration(rnd.Int64N(int64(350*time.Millisecond)))) // a real process: real time
		_ = host.cmd.Process.Kill()
		<-host.read
		_ = host.cmd.Wait()
	}
	host := startHost(t, path, server.URL, acked)
	<-host.read
	if err := host.cmd.Wait(); err != nil {
		t.Fatalf("the last host: %v", err)
	}
	checkCrash(t, path, s, acked)
	again := s.Calls(studio.Start) - crashStarts
	t.Logf("%d kills; %d answers to starts lost; %d starts were sent again", crashKills, lost.Load(), again)
	if lost.Load() < crashStarts/10 || again == 0 {
		t.Error("hardly an answer was lost, or no start was sent again: the test is too kind")
	}
}

type hostProcess struct {
	cmd  *exec.Cmd
	read chan struct{} // closed when all that it said is in acked
}

func startHost(t *testing.T, path, endpoint string, acked map[engine.ID]int) hostProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashEnv+"="+path+"|"+endpoint)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := hostProcess{cmd: cmd, read: make(chan struct{})}
	go func() { // ends with the host
		defer close(h.read)
		for in := bufio.NewReader(out); ; {
			line, err := in.ReadString('\n')
			if err != nil { // a line cut short was not said
				if err != io.EOF {
					t.Log(err)
				}
				return
			}
			id, n, _ := strings.Cut(strings.TrimSpace(line), " ")
			if acked[engine.ID(id)], err = strconv.Atoi(n); err != nil {
				t.Errorf("the host said %q", line)
			}
		}
	}()
	return h
}

// checkCrash opens the file once more and compares it with what was
// acknowledged and with what the provider did.
func checkCrash(t *testing.T, path string, s *studio.Studio, acked map[engine.ID]int) {
	t.Helper()
	e, err := engine.Open(path, s, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if len(acked) != crashStarts {
		t.Errorf("%d operations for %d tokens: a token was forgotten", len(acked), crashStarts)
	}
	for id, n := range acked {
		op, err := e.Get(t.Context(), id)
		if err != nil || op.Phase != fsm.Succeeded || op.ClientToken != crashToken(n) {
			t.Errorf("acknowledged %s (%s): %s %q, %v", id, crashToken(n), op.Phase, op.LastError, err)
		}
		if effects := s.Effects(crashRef(n)); effects != 1 {
			t.Errorf("%s was started %d times", crashRef(n), effects)
		}
	}
	ends, seq := map[engine.ID]int{}, uint64(0)
	for ev, err := range e.Events(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if seq++; ev.Seq != seq || ev.Reason == store.Rotten {
			t.Fatalf("event %d (%s) after %d", ev.Seq, ev.Reason, seq-1)
		}
		if ev.To.Ended() {
			ends[ev.Operation]++
		}
	}
	for id := range acked {
		if ends[id] != 1 {
			t.Errorf("%s has %d ends in the feed", id, ends[id])
		}
	}
}
