package bolt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// blocksOf returns how many bytes of a file are on the disk.
func blocksOf(info os.FileInfo) (int64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Blocks * 512, true
}

// childTest is set in a process that runs one test of this binary.
const childTest = "ROUSE_TEST_ALONE"

// alone reports whether this process was started for this test alone, as attr describes. If
// not, alone starts such a process and takes over its result. It skips the test on a system
// that does not allow it, and fails the test in CI.
func alone(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(childTest) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0")
	if dir := os.Getenv("GOCOVERDIR"); dir != "" { // the child counts coverage too
		cmd.Args = append(cmd.Args, "-test.gocoverdir="+dir)
	}
	cmd.Env = append(os.Environ(), childTest+"=1")
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		skipOrFail(t, "no process for this test alone: "+err.Error())
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("%v:\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// ownMounts describes a process whose mounts no other process sees. A user can be root of a
// new namespace.
func ownMounts() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// smallDisk mounts a disk of size bytes. The mount ends with the process.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		skipOrFail(t, fmt.Sprintf("cannot mount a small disk: %v", err))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})
	return dir
}

// eat writes a file until the disk is full.
func eat(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

// TestFullDisk checks on disks of many sizes that new operations are refused before the
// space is used up. Everything that was acknowledged ends even if another program then uses
// the last byte. When there is space again, new operations are accepted without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	rng := scale.Rand(scale.Seed(t))
	disks, starts := 0, 0
	for i := range scale.Times(t, 3, 20, 1000) {
		disks++
		t.Run("", func(t *testing.T) {
			starts += fullDisk(t, rng, 1<<20<<(i%4)+rng.Int64N(1<<19), i%3)
		})
	}
	t.Logf("%d disks, %d starts acknowledged", disks, starts)
}

// fullDisk tests one disk. For how 0 the store itself fills it. For 1 another program then
// uses the rest. For 2 another program has used most of it from the start.
func fullDisk(t *testing.T, rng *rand.Rand, size int64, how int) int {
	dir := smallDisk(t, size)
	others := filepath.Join(dir, "others")
	f := &fullness{T: t, path: filepath.Join(dir, "rouse.db"), rng: rng}
	switch how {
	case 1:
		f.fullest = func() { eat(t, others) }
		f.relieve = func() int64 { return remove(t, others) }
	case 2:
		if err := os.WriteFile(others, make([]byte, (size-1<<20)*int64(rng.IntN(100))/100), 0o600); err != nil {
			t.Fatal(err)
		}
		f.fullest = func() { eat(t, others+"2") }
		f.relieve = func() int64 { return remove(t, others) + remove(t, others+"2") }
	}
	return f.run()
}

// remove removes a file and returns its size.
func remove(t *testing.T, path string) int64 {
	t.Helper()
	size, err := disk.FileSize(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestDiskFullFromTheBeginning checks that a full disk gets no file and no leftover, and
// that an existing file opens and can be read.
func TestDiskFullFromTheBeginning(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	dir := smallDisk(t, 2<<20)
	path, others := filepath.Join(dir, "rouse.db"), filepath.Join(dir, "others")
	eat(t, others)
	if _, err := Open(path, Config{}); !errors.Is(err, store.ErrFull) {
		t.Errorf("Open: %v, want ErrFull", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.Contains(e.Name(), disk.TempInfix) || e.Name() == "rouse.db" {
			t.Errorf("%s is left behind", e.Name())
		}
	}
	remove(t, others)
	s := openTest(t, path, Config{})
	put(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	eat(t, others)
	s = openTest(t, path, Config{})
	if n := clean(t, s); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
	// A full disk must not keep a store from being opened that has no mark of its machine yet.
	remove(t, others)
	old := filepath.Join(dir, "old.db")
	copyTo(t, golden, old)
	eat(t, others)
	s = openTest(t, old, Config{Machine: "farm-03"})
	if n := clean(t, s); n != 2 {
		t.Errorf("%d operations, want 2", n)
	}
}

// TestFileSizeLimit runs into a limit that the kernel enforces on a process. The disk has
// space, so only the error shows the limit.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	if !alone(t, nil) {
		return
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	rng := scale.Rand(scale.Seed(t))
	for range scale.Of(t, 1, 10, 200) {
		limit := syscall.Rlimit{Cur: 1<<20 + uint64(rng.IntN(8<<20)), Max: was.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		f := &fullness{T: t, path: testPath(t), rng: rng, deaf: true, config: Config{noSync: true}}
		f.relieve = func() int64 {
			const more = 1 << 20
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit.Cur + more, Max: was.Max}); err != nil {
				t.Fatal(err)
			}
			return more
		}
		f.run()
	}
}

// TestCopiesOnAFullDisk makes a backup, a repair, or a copy after a failed sync on a disk
// with space for a part of it. The copy is complete or fails with ErrFull. Nothing else is
// left next to the file, and the file is unchanged.
func TestCopiesOnAFullDisk(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	sample := testPath(t)
	s := openTest(t, sample, Config{noSync: true})
	for i := range 300 {
		put(t, s, numbered(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	corrupt := testPath(t)
	copyTo(t, sample, corrupt)
	flipBit(t, corrupt, format.BucketEvents, format.SeqKey(7))
	size, err := disk.FileSize(sample)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of string
		do func(path string) error
	}{
		"backup": {sample, func(path string) error {
			s, err := Open(path, Config{})
			if err != nil {
				return err
			}
			err = s.Backup(t.Context(), path+".copy")
			_ = os.Remove(path + ".copy")
			return errors.Join(err, s.Close())
		}},
		"repair": {corrupt, func(path string) error {
			_, err := repair.Repair(t.Context(), path, repair.Config{})
			aside, _ := filepath.Glob(path + ".damaged-*")
			for _, a := range aside {
				_ = os.Remove(a)
			}
			return err
		}},
		"after a failed sync": {sample, func(path string) error {
			if err := os.WriteFile(path+disk.SuspectSuffix, nil, 0o600); err != nil {
				return err
			}
			s, err := Open(path, Config{})
			if err != nil {
				return err
			}
			return s.Close()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			full, done := 0, 0
			for spare := int64(0); spare <= 4*size; spare += size/4 + 4096 {
				dir := smallDisk(t, size+spare+64<<10)
				path := filepath.Join(dir, "rouse.db")
				copyTo(t, c.of, path)
				switch err := c.do(path); {
				case err == nil:
					done++
				case errors.Is(err, store.ErrFull):
					full++
				default:
					t.Errorf("with %d bytes: %v, want ErrFull", spare, err)
				}
				if left, _ := filepath.Glob(filepath.Join(dir, "*"+disk.TempInfix+"*")); len(left) > 0 {
					t.Errorf("with %d bytes, %q are left behind", spare, left)
				}
				if r, err := repair.Check(t.Context(), path, repair.CheckConfig{}); err != nil || r.Operations != 300 {
					t.Errorf("with %d bytes the file has %d operations, %v", spare, r.Operations, err)
				}
			}
			if done == 0 || full == 0 {
				t.Errorf("%d times done, %d times full, want both", done, full)
			}
		})
	}
}
