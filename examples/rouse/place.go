package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/rouse-dev/rouse/store/bolt"
)

// database is where the database is, as --db, ROUSE_DB and the system say.
type database struct {
	path     string // of --db
	mayMake  bool   // the command makes one where there is none
	adopts   bool   // the command takes over one of another machine
	local    string // where every user may make a folder that outlives a restart
	openFile func(path string, c bolt.Config) (*bolt.Store, error)
}

func (d *database) flags(f *pflag.FlagSet) {
	f.StringVar(&d.path, "db", "", "database `FILE` (default $ROUSE_DB, else rouse.db in your state folder)")
}

func (d *database) check(f *pflag.FlagSet) error {
	if f.Changed("db") && d.path == "" {
		return errors.New("--db is empty")
	}
	return nil
}

// chosen is the file that the user named, or "".
func (d *database) chosen() string {
	if d.path != "" {
		return d.path
	}
	return os.Getenv("ROUSE_DB")
}

// errStranded: a database that is there already is on a network file system. It is
// not passed over for another: what it has acknowledged would never be sent.
var errStranded = errors.New("this database cannot be used where it is")

// open opens the database, or makes it, and returns its path; note tells the
// user where it is if that may surprise.
func (d *database) open(c bolt.Config, note func(string, ...any)) (*bolt.Store, string, error) {
	if path := d.chosen(); path != "" {
		return d.openAt(path, c, note)
	}
	path, err := statePath()
	if err != nil {
		return nil, "", err
	}
	folder := privateFolder(d.local)
	local := filepath.Join(folder, "rouse.db")
	var elsewhere error
	if d.mayMake || exists(path) || !exists(local) {
		var s *bolt.Store
		s, path, err = d.openAt(path, c, note)
		if !errors.Is(err, bolt.ErrNetworkFS) || errors.Is(err, errStranded) {
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
	path := d.chosen()
	if path == "" {
		var err error
		if path, err = statePath(); err != nil {
			return "", err
		}
		folder := privateFolder(d.local)
		if local := filepath.Join(folder, "rouse.db"); !exists(path) && exists(local) {
			return local, makePrivate(folder) // as open has it
		}
	}
	path, err := filepath.Abs(path)
	if err == nil && !exists(path) {
		err = noDatabase(path)
	}
	return path, err
}

func noDatabase(path string) error {
	return fmt.Errorf("there is no database at %s: \"rouse start\" and \"rouse run\" make one", path)
}

func (d *database) openAt(path string, c bolt.Config, note func(string, ...any)) (*bolt.Store, string, error) {
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
		err = fmt.Errorf("%w: %s: %w", errStranded, path, err)
	}
	return s, path, err
}

// statePath is the default database of this user.
func statePath() (string, error) {
	var folder string
	switch runtime.GOOS {
	case "windows":
		folder = os.Getenv("LocalAppData")
	case "darwin":
		if home, err := os.UserHomeDir(); err == nil {
			folder = filepath.Join(home, "Library", "Application Support")
		}
	default:
		folder = os.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(folder) { // the XDG rules: a relative one is ignored
			folder = ""
			if home, err := os.UserHomeDir(); err == nil {
				folder = filepath.Join(home, ".local", "state")
			}
		}
	}
	if folder == "" {
		return "", usagef("cannot find your state folder: say where the database is with --db or ROUSE_DB")
	}
	return filepath.Join(folder, "rouse", "rouse.db"), nil
}

// privateFolder is this user's place in a folder that is everybody's.
func privateFolder(parent string) string {
	return filepath.Join(parent, "rouse-"+strconv.Itoa(os.Getuid()))
}

// makePrivate makes a folder that only this user can enter. One that is there
// already is taken only if nobody else can have prepared it.
func makePrivate(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder (%s)", folder, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s can be entered by others (mode %s)", folder, info.Mode().Perm())
	case !owned(info):
		return fmt.Errorf("%s belongs to another user", folder)
	}
	return nil
}

// exists reports whether something has that name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
