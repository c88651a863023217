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
	screen   *screen
	json     bool
	db       database
	provider provider
	expiry   time.Duration // of starts; 0: as the settings say
	hinted   bool
	noted    map[string]bool                                       // what is noted once
	child    func(ctx context.Context, args ...string) *exec.Cmd   // this program again
	room     func(size int64) (memory uint64, limit time.Duration) // of the child
	misnamed error                                                 // help was asked for on a command that does not exist
	began    bool                                                  // a command has begun: what goes wrong from here on is no wrong usage
}

func newTool(stdout, stderr io.Writer) *tool {
	return &tool{
		screen: &screen{out: stdout, err: stderr, width: terminalWidth},
		db:     database{local: "/var/tmp", openFile: bolt.Open},
		noted:  map[string]bool{},
		child:  self,
		room:   room,
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
		err = cmp.Or(t.misnamed, t.screen.failure())
	}
	return t.report(c, err)
}

// commands builds the tree of commands.
func (t *tool) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "rouse",
		Short: "Wake workstations, and never forget that you asked",
		Long: `Rouse wakes workstations and never forgets that it was asked to. "start" puts a
request on disk, with or without a network; "run" carries out what is queued,
each start once. What serves which studio, EC2, a shelf of machines, a
hypervisor, stands in a settings file (--config), or for all studios in flags
(--transport). Flags may stand before or after the command.

With --json, what was asked for is printed as JSON; errors and notes stay plain
text, and go to standard error.

Exit status: 0 done as asked, 1 it ended otherwise, 2 wrong usage, 3 another
process holds the database.`,
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
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	f := root.PersistentFlags()
	f.BoolVar(&t.json, "json", false, "print one JSON object a line")
	t.db.flags(f)
	t.provider.flags(f)
	t.provider.complete(root)
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"do", "Waking:", []*cobra.Command{t.startCommand(), t.runCommand(), t.cancelCommand(), t.retryCommand(), t.pauseCommand(), t.resumeCommand()}},
		{"look", "Looking:", []*cobra.Command{t.lsCommand(), t.showCommand(), t.sessionsCommand(), t.eventsCommand(), t.statsCommand()}},
		{"keep", "Upkeep:", []*cobra.Command{t.configCommand(), t.checkCommand(), t.repairCommand(), t.backupCommand(), t.adoptCommand(), t.pruneCommand(), t.versionCommand()}},
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

// desk is an open database and an engine on it.
type desk struct {
	path   string
	store  *bolt.Store
	engine *engine.Engine
	held   *store.Foreign // the database belongs to another machine; nil: it does not
	began  time.Time      // the present run; zero: there is none
}

// noteOnce notes what is the same each time that a command opens the database.
func (t *tool) noteOnce(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !t.noted[note] {
		t.noted[note] = true
		t.screen.note("%s", note)
	}
}

// reading is with for a command that only reads: it writes nothing.
func (t *tool) reading(p transport.Transport, do func(d *desk) error) error {
	t.db.reads = true
	defer func() { t.db.reads = false }()
	return t.with(p, do)
}

// with opens the database, lets do work on it, and closes it.
func (t *tool) with(p transport.Transport, do func(d *desk) error) error {
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
	d := &desk{path: path, store: s, engine: e}
	if tz := unknownTZ(); tz != "" {
		t.noteOnce("TZ=%q names no time zone that this machine knows: times are shown in UTC", tz)
	}
	st, err := s.Stats(context.Background())
	if d.held = st.Foreign; d.held != nil && !t.db.adopts {
		t.noteOnce("%s", heldNote(d.held))
	}
	if err == nil {
		err = do(d)
	}
	return errors.Join(err, e.Close(), s.Close())
}
