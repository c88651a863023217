package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// keep is how long ended operations are remembered.
const keep = 30 * 24 * time.Hour

// words checks that the number of words after a command is one of ns.
func words(ns ...int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		for _, n := range ns {
			if len(args) == n {
				return nil
			}
		}
		_, want, _ := strings.Cut(c.Use, " ")
		if want == "" {
			want = "no words"
		}
		return fmt.Errorf("%s takes %s, and got %d: %q", c.Name(), want, len(args), args)
	}
}

func (t *tool) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a checked copy of the database to a new file",
		Long: `Backup writes a copy of the database to a new file, and reads it to check it.
To restore, put it in the database's place while nothing runs. What was queued
in it may have been started since: it is looked at first, and where a look
cannot tell it ends FAILED (ambiguous) rather than be started twice; "rouse
retry" starts it.`,
		Args: words(1),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "" {
				return usagef("FILE is empty")
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return t.reading(t.provider.offline(), func(d *desk) error {
				err := d.store.Backup(c.Context(), path)
				switch {
				case errors.Is(err, fs.ErrNotExist) && !exists(filepath.Dir(path)):
					return fmt.Errorf("there is no folder %s", filepath.Dir(path))
				case errors.Is(err, fs.ErrExist):
					return fmt.Errorf("%s is there already: choose a new file", path)
				case err != nil:
					return err
				case t.json:
					t.screen.record(map[string]string{"path": d.path, "backup": path})
				default:
					t.screen.say("wrote %s", path)
				}
				return nil
			})
		},
	}
}

func (t *tool) pruneCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prune",
		Short: "Forget what ended long ago",
		Long: fmt.Sprintf(`Prune forgets operations that ended more than %d days ago, with their tokens,
and all but the newest million events. "rouse run" does it by itself.`, int(keep/(24*time.Hour))),
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.with(t.provider.offline(), func(d *desk) error {
				n, err := d.engine.Prune(c.Context())
				switch {
				case err != nil:
					return err
				case t.json:
					t.screen.record(map[string]int{"removed": n})
				default:
					t.screen.say("removed %s", plural(n, "record", "records"))
				}
				return nil
			})
		},
	}
}

func (t *tool) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  words(0),
		RunE: func(*cobra.Command, []string) error {
			if t.json {
				t.screen.record(map[string]string{"version": version(), "go": runtime.Version()})
				return nil
			}
			t.screen.say("%s", versionText())
			return nil
		},
	}
}

// version is the module's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func versionText() string { return fmt.Sprintf("rouse %s (%s)", version(), runtime.Version()) }
