package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// parent is the provider, and counts the starts.
func parent(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	dir, err := os.MkdirTemp("", "rouse-quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db := filepath.Join(dir, "rouse.db")
	s := studio.New(studio.Config{Boot: 2 * time.Second, Fault: 0.2, Seed: uint64(time.Now().UnixNano())})
	for n := range sessions {
		s.Add(studioID, sessionID(n))
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}

	say("1. The studio is away. A worker queues %d starts and waits.", sessions)
	w, err := startWorker(ctx, db, "http://"+addr)
	if err != nil {
		return err
	}
	defer w.kill()
	if err := w.until("queued"); err != nil {
		return err
	}
	if err := w.until("offline"); err != nil {
		return err
	}

	say("2. The studio is back. It loses one answer in five.")
	server, err := serve(addr, s)
	if err != nil {
		return err
	}
	defer server.Close()
	for started(s) < sessions/3 {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	w.kill()
	say("3. The worker is killed by SIGKILL, with %d of %d sessions started.", started(s), sessions)

	say("4. A new worker opens the same file and continues.")
	if w, err = startWorker(ctx, db, "http://"+addr); err != nil {
		return err
	}
	defer w.kill()
	if err := w.wait(); err != nil {
		return fmt.Errorf("the second worker: %w", err)
	}
	return report(ctx, s)
}

// report prints the counts, and returns an error if one is wrong.
func report(ctx context.Context, s *studio.Studio) error {
	say("5. What the studio counted:")
	wrong := 0
	for n := range sessions {
		ref := transport.Ref{StudioID: studioID, SessionID: sessionID(n)}
		session, err := look(ctx, s, ref)
		if err != nil {
			return err
		}
		fmt.Printf("   %s  %-7s started %d time(s)\n", ref, session.State, s.Effects(ref))
		if session.State != "READY" || s.Effects(ref) != 1 {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d sessions are not READY, or were not started exactly once", wrong, sessions)
	}
	say("Every session is READY, and each was started once, by %d requests.", s.Calls(studio.Start))
	return nil
}

// look asks the studio until it gets an answer that is not lost.
func look(ctx context.Context, s *studio.Studio, ref transport.Ref) (transport.Session, error) {
	for {
		session, err := s.Get(ctx, ref)
		if !errors.Is(err, transport.KindUnknown) || ctx.Err() != nil {
			return session, err
		}
	}
}

func started(s *studio.Studio) (sum int) {
	for n := range sessions {
		sum += s.Effects(transport.Ref{StudioID: studioID, SessionID: sessionID(n)})
	}
	return sum
}

// freeAddress returns the address of a free port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func serve(addr string, s *studio.Studio) (*http.Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler:           nimble.Handler(s, nimble.HandlerConfig{Credentials: nimble.Keys(credentials)}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	go server.Serve(l) // until parent closes it
	return server, nil
}

// process is a worker, seen from the parent.
type process struct {
	cmd   *exec.Cmd
	lines chan string // the lines that it prints; closed at its end
}

func startWorker(ctx context.Context, db, endpoint string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, workerArg, db, endpoint)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, lines: make(chan string, 1024)}
	go func() { // ends with the worker
		defer close(p.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			fmt.Println("   worker:", in.Text())
			p.lines <- in.Text()
		}
	}()
	return p, nil
}

// until waits for a line that begins with word.
func (p *process) until(word string) error {
	for line := range p.lines {
		if strings.HasPrefix(line, word) {
			return nil
		}
	}
	return fmt.Errorf("the worker ended before it printed %q", word)
}

func (p *process) wait() error {
	for range p.lines { // all lines are read before Wait closes the pipe
	}
	return p.cmd.Wait()
}

// kill ends the worker by SIGKILL, so that it cannot prepare for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.wait()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
