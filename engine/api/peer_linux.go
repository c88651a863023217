package api

import (
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
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
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) //nolint:gosec // a descriptor
	}); err != nil {
		return 0, 0, err
	}
	if cerr != nil {
		return 0, 0, cerr
	}
	return int(cred.Uid), int(cred.Gid), nil
}

// shortFolder returns a short name for the folder of a socket. The path of a socket has
// at most 107 bytes, and a database may be deeper.
func shortFolder(path string) (string, func(), error) {
	const limit = 107 - len(".1234567890.sock")
	folder := filepath.Dir(path)
	if len(path) <= limit {
		return folder, func() {}, nil
	}
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: folder, Err: err}
	}
	return "/proc/self/fd/" + strconv.Itoa(fd), func() { _ = unix.Close(fd) }, nil
}

// refused reports whether a socket is there and no process listens on it.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// ownerOf returns the id of a file's owner.
func ownerOf(info fs.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
