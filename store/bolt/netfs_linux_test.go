package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
)

// TestNetworkFileSystems checks that each kind has a name, and a reason if it is refused. An
// unknown kind is refused unless a disk of this machine is behind it.
func TestNetworkFileSystems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		magic   int64 // as the kernel reports it: on some processors it is signed
		onDisk  bool
		name    string
		refused bool
	}{
		{0x6969, false, "NFS", true}, {0x65735546, false, "FUSE", true}, {0x65735546, true, "FUSE", true}, // fuseblk
		{-11317950, false, "SMB", true}, {0x517b, false, "SMB", true}, {0xfe534d42, false, "SMB", true},
		{0x5346414f, false, "AFS", true}, {0x6b414653, false, "AFS", true}, {0x73757245, false, "Coda", true},
		{0x00c36400, false, "Ceph", true}, {0x01021997, false, "9P", true}, {0x0bd00bd0, false, "Lustre", true},
		{0x47504653, false, "GPFS", true}, {0x19830326, false, "BeeGFS", true}, {0xaad7aaea, false, "PanFS", true},
		{0x7461636f, true, "OCFS2", true}, {0x01161970, true, "GFS2", true}, {0x20030528, false, "OrangeFS", true},
		{0x786f4256, false, "a VirtualBox shared folder", true}, {0xbacbacbc, false, "a VMware shared folder", true},
		{0x77454b41, false, "unknown kind 0x77454b41", true}, {0x77454b41, true, "unknown kind 0x77454b41", false},
		{0xef53, true, "unknown kind 0xef53", false}, {0x58465342, true, "unknown kind 0x58465342", false},
		{0x01021994, false, "tmpfs", false}, {0x9123683e, false, "btrfs", false}, {0x2fc12fc1, false, "ZFS", false},
		{0x794c7630, false, "overlayfs", false},
	} {
		if got := disk.Classify(uint32(c.magic), c.onDisk); got.Name != c.name || got.Risk != "" != c.refused { //nolint:gosec // as checkFS does
			t.Errorf("%#x is %q (%s), want %q, refused: %t", c.magic, got.Name, got.Risk, c.name, c.refused)
		}
	}
	seen := map[uint32]bool{}
	for _, f := range disk.FileSystems {
		if seen[f.Magic] || f.Name == "" {
			t.Errorf("%#x (%s) is listed twice, or has no name", f.Magic, f.Name)
		}
		seen[f.Magic] = true
	}
}

// TestUnknownFileSystemIsRefused uses proc as a kind that is not in the table, with no disk
// behind it.
func TestUnknownFileSystemIsRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/proc/rouse.db", "/proc/version"} {
		err := disk.CheckFS(path, false)
		if !errors.Is(err, disk.ErrNetworkFS) || !strings.Contains(err.Error(), "unknown kind 0x9fa0: no disk of this machine is behind it") {
			t.Errorf("%s: %v, want ErrNetworkFS with the reason", path, err)
		}
		if err := disk.CheckFS(path, true); err != nil {
			t.Errorf("%s: forced: %v", path, err)
		}
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "rouse.db"), "/dev/shm/rouse.db"} {
		if err := disk.CheckFS(path, false); err != nil {
			t.Errorf("a disk of this machine: %v", err)
		}
	}
}

// TestMountedFile checks a file that is mounted alone, and may be on another file system
// than its folder.
func TestMountedFile(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	path := filepath.Join(t.TempDir(), "rouse.db")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("/proc/version", path, "", syscall.MS_BIND, ""); err != nil {
		skipOrFail(t, "cannot mount: "+err.Error())
	}
	defer func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := disk.CheckFS(path, false); !errors.Is(err, disk.ErrNetworkFS) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want ErrNetworkFS that names the file", err)
	}
}

// TestNetworkFSIsRefused mounts a file system that a program serves: an empty folder. No
// database is made there, unless the caller forces it.
func TestNetworkFSIsRefused(t *testing.T) {
	t.Parallel()
	if !alone(t, ownMounts()) {
		return
	}
	dir := t.TempDir()
	fuse, err := syscall.Open("/dev/fuse", syscall.O_RDWR, 0)
	if err != nil {
		skipOrFail(t, "no /dev/fuse: "+err.Error())
	}
	options := fmt.Sprintf("fd=%d,rootmode=40700,user_id=%d,group_id=%d", fuse, os.Getuid(), os.Getgid())
	if err := syscall.Mount("test", dir, "fuse", 0, options); err != nil {
		skipOrFail(t, "cannot mount: "+err.Error())
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveEmptyFolder(fuse)
	}()
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		_ = syscall.Close(fuse)
		<-served
	}()
	path := filepath.Join(dir, "rouse.db")
	_, err = Open(path, Config{})
	if !errors.Is(err, disk.ErrNetworkFS) || !strings.Contains(err.Error(), "FUSE") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want ErrNetworkFS with kind and folder", err)
	}
	_, err = Open(path, Config{AllowNetworkFS: true})
	if errors.Is(err, disk.ErrNetworkFS) || !errors.Is(err, syscall.ENOSYS) { // the mount makes no files
		t.Errorf("forced: %v, want it to be tried", err)
	}
}

// serveEmptyFolder answers the kernel's requests to a mount until the mount ends.
func serveEmptyFolder(fuse int) {
	const lookUp, getattr, statfs, initialize = 1, 3, 17, 26 // numbers of the protocol
	order := binary.NativeEndian
	in := make([]byte, 1<<17)
	for {
		n, err := syscall.Read(fuse, in)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil || n < 40:
			return
		}
		var body []byte
		errno := syscall.ENOSYS
		switch order.Uint32(in[4:]) {
		case lookUp:
			errno = syscall.ENOENT
		case getattr:
			body, errno = make([]byte, 104), 0
			order.PutUint64(body[16:], 1)                        // inode
			order.PutUint32(body[16+60:], syscall.S_IFDIR|0o700) // mode
			order.PutUint32(body[16+64:], 2)                     // links
			order.PutUint32(body[16+68:], uint32(os.Getuid()))   //nolint:gosec // small
		case statfs:
			body, errno = make([]byte, 80), 0
		case initialize:
			body, errno = make([]byte, 64), 0
			order.PutUint32(body, 7)
			order.PutUint32(body[4:], 31)
			order.PutUint32(body[20:], 1<<16) // the largest write
		}
		out := make([]byte, 16, 16+len(body))
		order.PutUint32(out, uint32(16+len(body)))      //nolint:gosec // small
		order.PutUint32(out[4:], uint32(-int32(errno))) //nolint:gosec // bits
		copy(out[8:], in[8:16])
		_, _ = syscall.Write(fuse, append(out, body...))
	}
}
