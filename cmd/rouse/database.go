package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/adrg/xdg"
	"github.com/spf13/pflag"

	"github.com/rouse-dev/rouse/store/bolt"
)

// database is where the database is, as --db, ROUSE_DB and the system say.
type database struct {
	path     string // of --db
	mayMake  bool   // the command makes one where there is none
	adopts   bool   // the command takes over one of another machine
	reads    bool   // the command writes nothing
	forceFS  bool   // of --force-fs
	local    string // where every user may make a folder that outlives a restart
	openFile func(path string, c bolt.Config) (*bolt.Store, error)
}

func (d *database) flags(f *pflag.FlagSet) {
	f.StringVar(&d.path, "db", "", "database `FILE` (default $ROUSE_DB, or else rouse.db in the state folder of the service or the user)")
	f.BoolVar(&d.forceFS, "force-fs", false, "open the database on a network file system; if two machines open it at once, it is destroyed, acknowledged starts are lost, and sessions may be started twice")
}

// forced returns whether --force-fs is given, and notes what it risks.
func (d *database) forced(note func(string, ...any)) bool {
	if d.forceFS {
		note("--force-fs: the lock may work on this machine only; make sure that no other machine opens this database: two at once destroy it, and may start sessions twice")
	}
	return d.forceFS
}

func (d *database) check(f *pflag.FlagSet) error {
	if f.Changed("db") && d.path == "" {
		return errors.New("--db is empty")
	}
	return nil
}

// isURL reports whether a path begins like a URL, with a scheme, a colon and a slash. A
// scheme has two letters or more, because one letter is a drive on Windows.
func isURL(path string) bool {
	scheme, _, ok := strings.Cut(path, ":/")
	return ok && len(scheme) > 1 && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == "" && scheme[0] > '9'
}

// chosen is the file that the user named, or "".
func (d *database) chosen() (string, error) {
	name, path := "--db", d.path
	if path == "" {
		name, path = "ROUSE_DB", os.Getenv("ROUSE_DB")
	}
	if isURL(path) {
		return "", usagef("%s %q is a URL, and the database is a file: give a path (./%s, if that is its name)", name, path, path)
	}
	return path, nil
}

// errOnNetworkFS: a database that is there already is on a network file system. It is
// not passed over for another: what it has acknowledged would never be sent.
var errOnNetworkFS = errors.New("this database cannot be used where it is")

// open opens the database, or makes it, and returns its path. A note says where it is if
// that may surprise the user.
func (d *database) open(c bolt.Config, note func(string, ...any)) (*bolt.Store, string, error) {
	path, err := d.chosen()
	if err != nil {
		return nil, "", err
	}
	if path != "" {
		return d.openAt(path, c, note)
	}
	path, err = statePath()
	if err != nil {
		return nil, "", err
	}
	folder := privateFolder(d.local)
	local := filepath.Join(folder, "rouse.db")
	var elsewhere error
	if d.mayMake || exists(path) || !exists(local) {
		var s *bolt.Store
		s, path, err = d.openAt(path, c, note)
		if !errors.Is(err, bolt.ErrNetworkFS) || errors.Is(err, errOnNetworkFS) {
			return s, path, err
		}
		elsewhere = err
	}
	// Studio homes lie on file servers, whose locks and syncs bolt does not
	// trust. A folder of this machine is safe, but of this machine only.
	if perr := makePrivate(folder); perr != nil {
		return nil, "", errors.Join(elsewhere, perr)
	}
	note("your state folder is on a network file system: using %s, which only this machine sees", local)
	return d.openAt(local, c, note)
}

// find is the file of a database that is there, for who reads it without
// opening it.
func (d *database) find() (string, error) {
	path, err := d.chosen()
	if err != nil {
		return "", err
	}
	if path == "" {
		if path, err = statePath(); err != nil {
			return "", err
		}
		folder := privateFolder(d.local)
		if local := filepath.Join(folder, "rouse.db"); !exists(path) && exists(local) {
			return local, makePrivate(folder) // as open has it
		}
	}
	path, err = filepath.Abs(path)
	if err == nil && !exists(path) {
		err = noDatabase(path)
	}
	return path, err
}

var errNoDatabase = errors.New("there is no database")

func noDatabase(path string) error {
	return fmt.Errorf("%w at %s: \"rouse start\" and \"rouse run\" make one", errNoDatabase, path)
}

func (d *database) openAt(path string, c bolt.Config, note func(string, ...any)) (*bolt.Store, string, error) {
	c.AllowNetworkFS, c.ReadOnly = d.forced(note), d.reads
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	isNew := !exists(path)
	if isNew && !d.mayMake {
		return nil, path, noDatabase(path)
	}
	s, err := d.openFile(path, c)
	switch {
	case err == nil && isNew:
		note("made a new database: %s", path)
	case errors.Is(err, bolt.ErrNetworkFS) && !isNew:
		err = fmt.Errorf("%w: %s: %w", errOnNetworkFS, path, err)
	}
	return s, path, err
}

// statePath is the default database: of the service, if systemd runs this program
// with a state folder, else of this user. One that is there already is taken before
// one that is not, so that an operation that was acknowledged is not passed over.
func statePath() (string, error) {
	var all []string
	unset := "none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is an absolute path"
	if runtime.GOOS == "darwin" {
		unset = "neither XDG_STATE_HOME nor HOME is an absolute path"
	}
	// systemd sets STATE_DIRECTORY to the unit's StateDirectory=, which may be several.
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); runtime.GOOS == "linux" && filepath.IsAbs(first) {
		all = append(all, filepath.Join(first, "rouse.db"))
	}
	for _, folder := range stateFolders() {
		all = append(all, filepath.Join(folder, "rouse", "rouse.db"))
	}
	for _, path := range all {
		if exists(path) {
			return path, nil
		}
	}
	if len(all) == 0 {
		return "", usagef("cannot find a state folder, since %s: give --db FILE, or set ROUSE_DB", unset)
	}
	return all[0], nil
}

// stateFolders returns the folders that may hold this user's state, the preferred one
// first. It returns none if the environment names none.
func stateFolders() []string {
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		home = ""
	}
	// Without a home, package xdg takes the root folder for it.
	if home == "" && !filepath.IsAbs(os.Getenv("XDG_STATE_HOME")) && runtime.GOOS != "windows" {
		return nil
	}
	xdg.Reload() // it has read the environment when the process began
	all := []string{xdg.StateHome}
	// Older versions ignored XDG_STATE_HOME on these systems. A database must not be
	// passed over when that variable is set later.
	switch runtime.GOOS {
	case "darwin":
		if home != "" {
			all = append(all, filepath.Join(home, "Library", "Application Support"))
		}
	case "windows":
		if local := os.Getenv("LocalAppData"); local != "" {
			all = append(all, local)
		}
	}
	return all
}

// privateFolder is this user's place in a folder that is everybody's.
func privateFolder(parent string) string {
	return filepath.Join(parent, "rouse-"+strconv.Itoa(os.Getuid()))
}

// makePrivate makes a folder that only this user can enter. One that is there
// already is taken only if no other user can have prepared it.
func makePrivate(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder (%s): move it away, or choose a file with --db or ROUSE_DB", folder, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s can be entered by others (mode %s): remove their access, or choose a file with --db", folder, info.Mode().Perm())
	case !owned(info):
		return fmt.Errorf("%s belongs to another user: choose a file with --db or ROUSE_DB", folder)
	}
	return nil
}

// exists reports whether something has that name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
