// Quickstart shows the main job of rouse in under twenty seconds, on this machine.
// Sessions are started once, whatever happens to the process that asks and to the
// provider.
//
//	go run ./examples/quickstart
//
// The parent process is the provider: an in-process studio behind the Nimble
// protocol, on loopback, which loses one answer in five. A worker process is the
// host. It queues starts while the studio is away, is killed by SIGKILL during its
// work, and is started again. Then the parent counts how often each session was
// really started. The exit status is 0 only if that is once each.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const (
	studioID = "lot-7"
	sessions = 12
)

func sessionID(n int) string { return fmt.Sprintf("ws-%02d", n+1) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := parent
	if len(os.Args) == 4 && os.Args[1] == workerArg {
		run = func(ctx context.Context) error { return worker(ctx, os.Args[2], os.Args[3]) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}
