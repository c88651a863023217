//go:build unix

package exec_test

import (
	"context"
	"fmt"
	"os"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
)

// A file is the machine here. The machine runs while the file exists.
func Example() {
	dir, err := os.MkdirTemp("", "machines")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t, err := exec.New(exec.Config{
		Start:  []string{`touch -- "$ROUSE_SESSION"`},
		Status: []string{`test -e "$ROUSE_SESSION" || exit 3`},
		Shell:  true,
		Dir:    dir,
		Repeat: transport.RepeatByState,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	session, err := t.Get(context.Background(), ref)
	fmt.Println(session.State, err)
	session, err = t.Start(context.Background(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	fmt.Println(session.State, err)
	session, err = t.Get(context.Background(), ref)
	fmt.Println(session.State, err)
	// Output:
	// STOPPED <nil>
	// START_IN_PROGRESS <nil>
	// READY <nil>
}

// A script reports the cause of a failure, so that the engine knows what to do.
func ExampleTransport_Start() {
	t, err := exec.New(exec.Config{
		Start:  []string{`echo '{"error": "Throttled", "message": "two machines a minute", "retryAfter": 30}'`},
		Status: []string{"exit 3"},
		Shell:  true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	_, err = t.Start(context.Background(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	fmt.Println(err)
	// Output: throttled: the start command of lab/ws-1: two machines a minute
}
