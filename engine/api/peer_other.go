//go:build !linux && !darwin

package api

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hasModes says that the mode of a socket decides who may connect. On Windows the rights of
// the folder do.
const hasModes = false

// peerOf returns this process's user, since the system does not report the other one.
func peerOf(c net.Conn) (uid, gid int, err error) {
	if b, ok := c.(*boundedConn); ok {
		c = b.Conn
	}
	if _, ok := c.(*net.UnixConn); !ok {
		return 0, 0, errors.New("not a connection of this machine")
	}
	return os.Getuid(), os.Getgid(), nil
}

// shortFolder returns the folder of a socket. Its path may have at most 107 bytes.
func shortFolder(path string) (string, func(), error) { return filepath.Dir(path), func() {}, nil }

// refused reports whether a socket is there and no process listens on it.
func refused(err error) bool {
	// Windows has a number of its own, which package syscall does not name.
	return errors.Is(err, syscall.ECONNREFUSED) || err != nil && strings.Contains(err.Error(), "refused")
}

// ownerOf returns the id of a file's owner: none.
func ownerOf(fs.FileInfo) int { return -1 }
