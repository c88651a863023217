package api

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasModes says that the mode of a socket decides who may connect.
const hasModes = true

// peerOf returns the user and the group of the process at the other end of a socket. That
// is the process that connected, or the one that listens.
func peerOf(c net.Conn) (uid, gid int, err error) {
	if b, ok := c.(*boundedConn); ok {
		c = b.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, 0, errors.New("not a connection of this machine")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Xucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) //nolint:gosec // a descriptor
	}); err != nil {
		return 0, 0, err
	}
	if cerr != nil {
		return 0, 0, cerr
	}
	return int(cred.Uid), int(cred.Groups[0]), nil
}

// shortFolder returns a short name for the folder of a socket. The path of a socket has
// at most 103 bytes, and a database may be deeper. A link in the folder for temporary
// files, which only this user can enter, is the short name.
func shortFolder(path string) (string, func(), error) {
	const limit = 103 - len(".1234567890.sock")
	folder := filepath.Dir(path)
	if len(path) <= limit {
		return folder, func() {}, nil
	}
	private, err := os.MkdirTemp("/tmp", "rouse")
	if err != nil {
		return "", nil, err
	}
	remove := func() { _ = os.RemoveAll(private) }
	link := filepath.Join(private, "s")
	if err := os.Symlink(folder, link); err != nil {
		remove()
		return "", nil, err
	}
	return link, remove, nil
}

// refused reports whether a socket is there and no process listens on it.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// ownerOf returns the id of a file's owner.
func ownerOf(info fs.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
