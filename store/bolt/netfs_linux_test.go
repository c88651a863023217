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
)

func TestNetworkFileSystems(t *testing.T) {
	t.Parallel()
	for magic, want := range map[int64]string{
		0x6969: "NFS", 0x65735546: "FUSE", -11317950: "SMB", 0x517b: "SMB", 0xfe534d42: "SMB", 0x5346414f: "AFS",
		0x00c36400: "Ceph", 0x01021997: "9P", 0x0bd00bd0: "Lustre", 0xef53: "", 0x01021994: "",
	} {
		if got := networkFS(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
}

// TestNetworkFSIsRefused mounts a file system that a program answers for, with an
// empty folder and nothing else. A database is not made there, unless that is
// forced; then it is tried.
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
	if !errors.Is(err, ErrNetworkFS) || !strings.Contains(err.Error(), "FUSE") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want ErrNetworkFS with kind and folder", err)
	}
	_, err = Open(path, Config{AllowNetworkFS: true})
	if errors.Is(err, ErrNetworkFS) || !errors.Is(err, syscall.ENOSYS) { // it makes no files
		t.Errorf("forced: %v, want it to be tried", err)
	}
}

// serveEmptyFolder answers the kernel's requests to a mount until it is gone.
func serveEmptyFolder(fuse int) {
	const lookUp, getattr, statfs, initialize = 1, 3, 17, 26 // of the protocol
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
