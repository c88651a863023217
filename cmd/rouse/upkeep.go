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

// keep is how long the store remembers ended operations.
const keep = 30 * 24 * time.Hour

// words checks that a command has one of the numbers ns of arguments.
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
		Short: "Copy the database to a new file",
		Long: `Write a checked copy of the database to a new file.

To restore, put the copy in the database's place while no rouse runs. Starts
that were queued in the copy may have been sent since. The next run confirms
them first. If it cannot tell whether a session was started, the operation
ends FAILED (ambiguous), so that nothing is started twice. "rouse retry" then
starts the session.`,
		Args: words(1),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "" {
				return usagef("FILE is empty")
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return t.reading(t.offline, func(h *host) error {
				err := h.engine.Backup(c.Context(), path)
				switch {
				case errors.Is(err, fs.ErrNotExist) && !exists(filepath.Dir(path)):
					return fmt.Errorf("there is no folder %s", filepath.Dir(path))
				case errors.Is(err, fs.ErrExist):
					return fmt.Errorf("%s exists; choose another name", path)
				case err != nil:
					return err
				case t.json:
					t.screen.record(map[string]string{"path": h.path, "backup": path})
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
		Short: "Forget old operations",
		Long: fmt.Sprintf(`Forget operations that ended more than %d days ago, and their tokens.

Prune also removes all but the newest million events. "rouse run" prunes the
database too.`, int(keep/(24*time.Hour))),
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.with(t.offline, func(h *host) error {
				n, err := h.engine.Prune(c.Context())
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
