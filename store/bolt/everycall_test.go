package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// childCall is set to the name of one of wholeFiles if the child must run it. strace makes
// one of its system calls fail.
const childCall = "ROUSE_TEST_CALL"

// wholeFile is something that is done to a whole file.
type wholeFile struct {
	of      string // a sample; "": there is no file yet
	doubted bool   // a sync has failed
	noLinks bool   // the file system has none
	// do does it. The test ignores what do does before it calls begin.
	do func(path string, begin func()) error
}

// callConfig is for a machine that needs no system call to be known.
func callConfig() Config { return Config{LockTimeout: -1, Machine: "farm-03", MaxSize: 1 << 30} }

func wholeFiles() map[string]wholeFile {
	opened := func(sparse int64) func(path string, begin func()) error {
		return func(path string, begin func()) error {
			c := callConfig()
			c.sparse = sparse
			begin()
			s, err := Open(path, c)
			if err == nil {
				err = s.Close()
			}
			return err
		}
	}
	of := func(do func(s *Store, path string) error) func(path string, begin func()) error {
		return func(path string, begin func()) error {
			s, err := Open(path, callConfig())
			if err != nil {
				return err
			}
			begin()
			return errors.Join(do(s, path), s.Close())
		}
	}
	repaired := func(path string, begin func()) error {
		begin()
		_, err := repair.Repair(context.Background(), path, repair.Config{})
		return err
	}
	named := func(path string, begin func()) error {
		temp, err := disk.CopyFile(path)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(temp) }()
		begin()
		err = disk.PublishFile(temp, path)
		if errors.Is(err, os.ErrExist) {
			return nil // this refusal is required
		}
		return cmp.Or(err, errors.New("it replaced another process's file"))
	}
	return map[string]wholeFile{
		"making":                      {do: opened(0)},
		"making, without links":       {noLinks: true, do: opened(0)},
		"opening":                     {of: "whole", do: opened(0)},
		"opening after a failed sync": {of: "whole", doubted: true, do: opened(0)},
		"opening a backup":            {of: "backup", do: opened(0)},
		"opening a corrupt one":       {of: "corrupt", do: opened(0)},
		"compacting":                  {of: "holed", do: opened(1)},
		"counting": {of: "whole", do: of(func(s *Store, _ string) error {
			_, err := s.Stats(context.Background())
			return err
		})},
		"backing up": {of: "whole", do: of(func(s *Store, path string) error {
			_ = os.Remove(path + ".copy")
			return s.Backup(context.Background(), path+".copy")
		})},
		"verifying": {of: "whole", do: func(path string, begin func()) error {
			begin()
			_, err := repair.Check(context.Background(), path, repair.CheckConfig{})
			return err
		}},
		"mending": {of: "corrupt", do: func(path string, begin func()) error {
			if err := os.WriteFile(path+".copy", nil, 0o600); err != nil {
				return err
			}
			begin()
			_, err := repair.Job{Path: path, Copy: path + ".copy"}.Do(context.Background(), nil)
			return err
		}},
		"keeping another process's file": {of: "whole", noLinks: true, do: named},
		"repairing":                      {of: "corrupt", doubted: true, do: repaired},
		"repairing, without links":       {of: "corrupt", noLinks: true, do: repaired},
	}
}

// onMain keeps the main goroutine of such a child on its first thread, because strace counts
// the calls of a thread. Once main runs, it may be on another thread.
var _ = onMain()

func onMain() bool {
	child := os.Getenv(childCall) != ""
	if child {
		runtime.LockOSThread()
	}
	return child
}

// called runs one of wholeFiles. It prints the result, and a line for each file next to path
// that is still open.
func called(path string, out io.Writer) error {
	err := wholeFiles()[os.Getenv(childCall)].do(path, func() { _, _ = os.Lstat(path + begun) })
	if err == nil {
		_, _ = fmt.Fprintln(out, "done")
	} else {
		_, _ = fmt.Fprintf(out, "failed %q\n", err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, filepath.Dir(path)) {
			_, _ = fmt.Fprintln(out, "open", to)
		}
	}
	return err
}

// begun is the end of a name. A look-up of that name marks in the list of system calls where
// the interesting part begins.
const begun = ".begun"
