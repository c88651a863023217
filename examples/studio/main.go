// Studio serves the Nimble protocol from a provider that exists only in memory, or
// with -state also in a file. With it, you can try programs that wake workstations
// without a workstation.
//
//	studio -addr 127.0.0.1:8080 -any -boot 30s
//	aws --endpoint-url http://127.0.0.1:8080 nimble start-streaming-session \
//	    --studio-id lab --session-id ws-1
//
// It serves all six actions of the protocol. A studio exists as soon as a call names
// it. With -any the same holds for a session, which is STOPPED, unless its id begins
// with "missing". The flag -fault loses answers, -throttle and -quota refuse calls, and
// -seed repeats a run. With -state it continues where it ended, even after SIGKILL. The
// file has what it answered, and how often each session was started.
//
// Requests must be signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the
// environment (and AWS_SESSION_TOKEN, if that is set). Without them the program accepts
// any signature, and serves only loopback.
//
// It prints "listening on http://…" when it is ready. With port 0 that names the port
// that it chose. SIGINT and SIGTERM end it, after the calls under way. The exit status is
// 0 after a signal, 1 if it could not serve, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/transport/studio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program; it returns its exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	s, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "studio: %v\n", err)
		return 2
	}
	if err := s.serve(ctx, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "studio: %v\n", err)
		return 1
	}
	return 0
}

// settings has the values of the command line and the environment.
type settings struct {
	addr        *net.TCPAddr
	studio      studio.Config
	state       string           // the file that keeps the studio; "" for none
	credentials *aws.Credentials // nil accepts any signature
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("studio", flag.ContinueOnError)
	f.SetOutput(stderr)
	addr := f.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	f.DurationVar(&s.studio.Boot, "boot", 2*time.Second, "`time` from an accepted start to READY")
	f.DurationVar(&s.studio.Stop, "stop", time.Second, "`time` from an accepted stop to STOPPED")
	f.Float64Var(&s.studio.Fault, "fault", 0, "`probability`, 0 to 1, that an answer is lost")
	f.Float64Var(&s.studio.Throttle, "throttle", 0, "calls a second that are allowed; 0 means all")
	f.IntVar(&s.studio.Quota, "quota", 0, "sessions that may run at once; 0 means any number")
	f.Uint64Var(&s.studio.Seed, "seed", 1, "decides which answers -fault loses")
	f.BoolVar(&s.studio.Any, "any", false, "make each session that a call names and that does not exist")
	f.StringVar(&s.state, "state", "", "`file` that keeps the sessions over a restart; it is made if there is none")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if err := check(s.studio); err != nil {
		return s, err
	}
	var err error
	if s.credentials, err = keys(getenv); err != nil {
		return s, err
	}
	// The name is resolved once, so that the address that is checked is also the one to
	// listen on.
	if s.addr, err = net.ResolveTCPAddr("tcp", *addr); err != nil {
		return s, fmt.Errorf("-addr %q: %w", *addr, err)
	}
	if s.credentials == nil && !s.addr.IP.IsLoopback() {
		return s, fmt.Errorf("-addr %q is not loopback: without AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "+
			"anyone who reaches it could start sessions", *addr)
	}
	return s, nil
}

func check(c studio.Config) error {
	switch {
	case c.Boot < 0:
		return fmt.Errorf("-boot %v is negative", c.Boot)
	case c.Stop < 0:
		return fmt.Errorf("-stop %v is negative", c.Stop)
	case !(c.Fault >= 0 && c.Fault <= 1): // so that NaN is refused too
		return fmt.Errorf("-fault %v is not between 0 and 1", c.Fault)
	case !(c.Throttle >= 0 && c.Throttle <= 1e6):
		return fmt.Errorf("-throttle %v is not between 0 and 1000000", c.Throttle)
	case c.Quota < 0:
		return fmt.Errorf("-quota %d is negative", c.Quota)
	}
	return nil
}

// keys are the credentials that requests must be signed with; nil if none are set.
func keys(getenv func(string) string) (*aws.Credentials, error) {
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id == "" && secret == "":
		return nil, nil
	case id == "":
		return nil, errors.New("AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not")
	case secret == "":
		return nil, errors.New("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")
	}
	return &aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: getenv("AWS_SESSION_TOKEN")}, nil
}
