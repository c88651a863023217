package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// tool is one invocation: what its global flags say, and where it writes.
type tool struct {
	screen      *screen
	json        bool
	db          database
	provider    provider
	expiry      time.Duration // of starts; 0: as the settings say
	hinted      bool
	noted       map[string]bool                                       // what is noted once
	child       func(ctx context.Context, args ...string) *exec.Cmd   // this program again
	limits      func(size int64) (memory uint64, limit time.Duration) // of the child
	unknownHelp error                                                 // help was asked for on a command that does not exist
	began       bool                                                  // a command has begun: what goes wrong from here on is no wrong usage
}

func newTool(stdout, stderr io.Writer) *tool {
	return &tool{
		screen: &screen{out: stdout, err: stderr, width: terminalWidth},
		db:     database{local: "/var/tmp", openFile: bolt.Open},
		noted:  map[string]bool{},
		child:  thisProgram,
		limits: childLimits,
	}
}

// execute carries out a command line and returns the exit status.
func (t *tool) execute(ctx context.Context, args []string) int {
	root := t.commands()
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
  3  another process has the database open`,
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
	t.provider.flags(f)
	t.provider.complete(root)
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"do", "Start sessions", []*cobra.Command{t.startCommand(), t.runCommand(), t.cancelCommand(), t.retryCommand(), t.pauseCommand(), t.resumeCommand()}},
		{"look", "See what happens", []*cobra.Command{t.lsCommand(), t.showCommand(), t.sessionsCommand(), t.eventsCommand(), t.statsCommand()}},
		{"keep", "Maintain", []*cobra.Command{t.configCommand(), t.checkCommand(), t.repairCommand(), t.backupCommand(), t.adoptCommand(), t.pruneCommand(), t.versionCommand()}},
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
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
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

// host is an open database and an engine on it.
type host struct {
	path    string
	store   *bolt.Store
	engine  *engine.Engine
	foreign *store.Foreign // the machine that owns the database; nil means this one
	began   time.Time      // the present run; zero: there is none
}

// noteOnce notes what is the same each time that a command opens the database.
func (t *tool) noteOnce(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !t.noted[note] {
		t.noted[note] = true
		t.screen.note("%s", note)
	}
}

// reading is with for a command that only reads: it writes nothing.
func (t *tool) reading(p transport.Transport, do func(h *host) error) error {
	t.db.reads = true
	defer func() { t.db.reads = false }()
	return t.with(p, do)
}

// with opens the database, lets do work on it, and closes it.
func (t *tool) with(p transport.Transport, do func(h *host) error) error {
	logger := slog.New(slog.NewTextHandler(cleanWriter{t.screen}, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	}))
	db := t.provider.store()
	db.Logger = logger
	s, path, err := t.db.open(db, t.noteOnce)
	if err != nil {
		return err
	}
	defer t.provider.close()
	c := t.provider.engine()
	c.Source, c.Keep, c.Expiry = "cli", keep, cmp.Or(t.expiry, c.Expiry)
	e, err := engine.New(s, p, c)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	h := &host{path: path, store: s, engine: e}
	if tz := unknownTZ(); tz != "" {
		t.noteOnce("this machine does not know the time zone TZ=%q: times are shown in UTC", tz)
	}
	st, err := s.Stats(context.Background())
	if h.foreign = st.Foreign; h.foreign != nil && !t.db.adopts {
		t.noteOnce("%s", foreignNote(h.foreign))
	}
	if err == nil {
		err = do(h)
	}
	return errors.Join(err, e.Close(), s.Close())
}
