package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/store/bolt"
)

// tool is one invocation: what its global flags say, and where it writes.
type tool struct {
	screen      *screen
	json        bool
	db          database
	provider    provider
	ctx         context.Context // of the command line: it ends with Ctrl-C
	lockTimeout time.Duration
	expiry      time.Duration // of a start; 0: as the engine has it
	needsFile   bool          // the command runs the engine itself
	waitsTurn   bool          // it waits for the database as long as it takes
	resumes     bool          // it goes on where it was when the engine that it works with changes
	held        time.Duration // how long this process itself had the database open in the last try of with
	hinted      bool
	noted       map[string]bool                                       // what is noted once
	child       func(ctx context.Context, args ...string) *exec.Cmd   // this program again
	limits      func(size int64) (memory uint64, limit time.Duration) // of the child
	unknownHelp error                                                 // help was asked for on a command that does not exist
	began       bool                                                  // a command has begun: what goes wrong from here on is no wrong usage
}

func newTool(stdout, stderr io.Writer) *tool {
	return &tool{
		screen: &screen{out: stdout, err: stderr, width: terminalWidth, height: terminalHeight, dumb: os.Getenv("TERM") == "dumb"},
		db:     database{local: "/var/tmp", openFile: bolt.Open},
		noted:  map[string]bool{},
		child:  thisProgram,
		limits: childLimits,
	}
}

// execute carries out a command line and returns the exit status.
func (t *tool) execute(ctx context.Context, args []string) int {
	root := t.commands()
	t.ctx = ctx
	root.SetArgs(commandFirst(root, args))
	root.SetOut(t.screen.out)
	root.SetErr(t.screen.err)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !t.began {
		err = &usageError{err: err}
	}
	if err == nil {
		err = cmp.Or(t.unknownHelp, t.screen.failure())
	}
	return t.report(c, err)
}

// commands builds the tree of commands.
func (t *tool) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "rouse COMMAND",
		Short: "Wake workstations, and never forget that you asked",
		Long: `Wake workstations, and never forget that you asked.

"rouse start" stores a request on disk, with or without a network. "rouse run"
sends each start once, and waits until the session is READY.

A settings file (--config) says which provider serves which studio. Without a
file, --transport and the flags that go with it set one provider for all
studios.

Flags may come before or after the command. With --json, each result is one
JSON object on a line. Errors and notes are always plain text, on standard
error.

Exit status:
  0  done as asked
  1  not done as asked; the message says why
  2  wrong usage
  3  not acknowledged: another process has the database open and does not answer`,
		Example: `  rouse start lab ws-1        # store a request
  rouse run --until-idle      # send it, and wait for READY
  rouse show lab ws-1         # say why it waits`,
		Version:       version(),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(t.db.check(c.Flags()), t.provider.check(c.Flags())); err != nil {
				return err
			}
			t.began = true
			return nil
		},
		RunE: t.group,
	}
	root.SetVersionTemplate(versionText() + "\n")
	f := root.PersistentFlags()
	f.BoolVar(&t.json, "json", false, "print one JSON object per line")
	t.db.flags(f)
	durationVar(f, &t.lockTimeout, "lock-timeout", 5*time.Second, "wait up to `DURATION` while other processes have the database open")
	t.provider.flags(f)
	t.provider.complete(root)
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"do", "Start sessions", []*cobra.Command{t.startCommand(), t.waitCommand(), t.runCommand(), t.serveCommand(), t.cancelCommand(), t.retryCommand(), t.pauseCommand(), t.resumeCommand()}},
		{"look", "See what happens", []*cobra.Command{t.statusCommand(), t.whyCommand(), t.lsCommand(), t.showCommand(), t.sessionsCommand(), t.eventsCommand(), t.statsCommand()}},
		{"keep", "Maintain", []*cobra.Command{t.initCommand(), t.configCommand(), t.doctorCommand(), t.checkCommand(), t.repairCommand(), t.backupCommand(), t.adoptCommand(), t.pruneCommand(), t.tokenCommand(), t.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(t.childCommand())
	t.helped(root)
	return root
}

// commandFirst moves the command's name before the flags that stand before it,
// since cobra knows a command's own flags only after its name.
func commandFirst(root *cobra.Command, args []string) []string {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return args
		case strings.HasPrefix(a, "--"):
			if !strings.Contains(a, "=") && takesValue(root, a[2:]) {
				i++
			}
		case len(a) > 1 && a[0] == '-': // short flags take no value
		default:
			moved := append([]string{a}, args[:i]...)
			return append(moved, args[i+1:]...)
		}
	}
	return args
}

// takesValue reports whether a flag of any command is followed by its value. No
// name is used both ways.
func takesValue(root *cobra.Command, flag string) bool {
	all := append([]*cobra.Command{root}, root.Commands()...)
	for _, c := range root.Commands() {
		all = append(all, c.Commands()...)
	}
	for _, c := range all {
		f := c.Flags().Lookup(flag)
		if f == nil {
			f = c.PersistentFlags().Lookup(flag)
		}
		if f != nil {
			return f.NoOptDefVal == ""
		}
	}
	return false
}

// noteOnce notes what is the same each time that a command opens the database.
func (t *tool) noteOnce(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !t.noted[note] {
		t.noted[note] = true
		t.screen.note("%s", note)
	}
}
