package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/settings"
)

// starters are the settings files that "rouse init" writes, one for each kind of transport.
//
//go:embed starter/*.toml
var starters embed.FS

// kinds are what a person calls the providers, by kind of transport.
var kinds = [][]string{
	{"ec2", "instances of Amazon EC2"},
	{"wol", "machines that Wake-on-LAN starts"},
	{"exec", "machines that your own commands start, as by IPMI"},
	{"libvirt", "virtual machines of libvirt"},
	{"nimble", "a provider with the protocol of Nimble Studio"},
}

// kindRecord is a kind as "rouse init --json" prints it.
type kindRecord struct {
	Kind  string `json:"kind"`
	About string `json:"about"`
}

// madeRecord is the file that "rouse init --json" has written.
type madeRecord struct {
	Kind string `json:"kind"`
	File string `json:"file"`
}

func (t *tool) initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [KIND [FILE]]",
		Short: "Write a settings file to begin with",
		Long: `Write a settings file with comments, for one kind of provider.

Without KIND, init lists the kinds. The file is FILE, or else the one that
other commands would use: --config, $ROUSE_CONFIG, or rouse/rouse.toml in your
config folder. A file that exists is never changed.

Edit the file, and then run "rouse doctor".`,
		Example: `  rouse init
  rouse init wol
  sudo rouse init ec2 /etc/rouse/rouse.toml`,
		Args: words(0, 1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return settings.Transports(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				t.listKinds()
				return nil
			}
			path, implied, err := t.starterPath(args[1:])
			if err != nil {
				return err
			}
			return t.writeStarter(args[0], path, implied)
		},
	}
	return c
}

func (t *tool) listKinds() {
	if t.json {
		for _, k := range kinds {
			t.screen.record(kindRecord{k[0], k[1]})
		}
		return
	}
	t.screen.table(kinds)
}

// starterPath is where the file goes. The result implied reports whether other commands
// find it there without --config.
func (t *tool) starterPath(args []string) (path string, implied bool, err error) {
	if len(t.provider.given) > 0 {
		return "", false, usagef("init writes a file with examples: leave out %s, and edit the file", strings.Join(t.provider.given, ", "))
	}
	folder, err := os.UserConfigDir()
	usual := filepath.Join(folder, "rouse", "rouse.toml")
	switch env := os.Getenv("ROUSE_CONFIG"); {
	case len(args) == 1 && t.provider.chosen:
		return "", false, usagef("FILE and --config both name the file: leave out one")
	case len(args) == 1 && args[0] == "":
		return "", false, usagef("FILE is empty")
	case len(args) == 1:
		path = args[0]
	case t.provider.chosen && t.provider.config == "":
		return "", false, usagef("--config '' means no file: name one")
	case t.provider.chosen:
		path = t.provider.config
	case env != "":
		return env, true, nil
	case err != nil:
		return "", false, usagef("cannot find your config folder (%v): name a FILE", err)
	default:
		path = usual
	}
	if abs, aerr := filepath.Abs(path); aerr == nil {
		path = abs
	}
	return path, path == usual && err == nil && os.Getenv("ROUSE_CONFIG") == "" || path == os.Getenv("ROUSE_CONFIG"), nil
}

func (t *tool) writeStarter(kind, path string, implied bool) error {
	text, err := starters.ReadFile("starter/" + kind + ".toml")
	if err != nil {
		var names []string
		for _, k := range kinds {
			names = append(names, k[0])
		}
		return usagef("%.64q is no kind of provider: give one of %s", kind, strings.Join(names, ", "))
	}
	// It holds no secret, so its readers are as the umask says: a service reads it as a user
	// of its own.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("the folder of %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as above
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists, and is left as it is: move it away, or name another FILE", path)
	case err != nil:
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // half a file would be taken for settings
		return fmt.Errorf("write %s: %w", path, err)
	}
	if t.json {
		t.screen.record(madeRecord{kind, path})
		return nil
	}
	next := "rouse doctor"
	if !implied {
		next = "rouse --config " + quoted(path) + " doctor"
	}
	t.screen.say("wrote %s", path)
	t.screen.say("edit it, and then run: %s", next)
	return nil
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if slices.ContainsFunc([]rune(path), func(r rune) bool { return strings.ContainsRune(" \t'\"\\$`&;|<>()*?[]#~!{}", r) }) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
