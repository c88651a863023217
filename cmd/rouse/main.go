// Rouse wakes workstations from the command line, and never forgets that it was
// asked to: a start is queued on disk, with or without a network, and carried
// out, once, when the provider can be reached.
//
//	rouse start lab ws-1 --reason dailies      # on disk when it returns
//	rouse run --until-idle                     # carry out all that can be
//	rouse show lab ws-1                        # why it waits, and what comes next
//
// It is an example of a host of the engine: see the packages engine and
// store/bolt for what it promises. "rouse help" lists the commands.
//
// One process holds the database at a time. Exit status: 0 done as asked, 1 it
// ended otherwise (the message says how), 2 wrong usage, 3 another process holds
// the database.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // for --not-before "08:30 Europe/Berlin" on a system without a time zone database

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)       // a second signal ends the program at once
	cobra.EnableCommandSorting = false // help lists commands by importance
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns its exit status. When ctx ends it stops
// cleanly, as by Ctrl-C.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return newTool(stdout, stderr).execute(ctx, args)
}
