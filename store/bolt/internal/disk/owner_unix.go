//go:build unix

package disk

import (
	"cmp"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasOwners says whether files have an owner and permissions.
const hasOwners = true

// NoFollow makes opening a symbolic link fail, and makes opening a FIFO not wait for a
// writer.
const NoFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK

func isRoot() bool { return os.Geteuid() == 0 }

func OwnerOf(info os.FileInfo) Owner {
	o := Owner{UID: -1, GID: -1, Mode: info.Mode().Perm()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		o.UID, o.GID = int(st.Uid), int(st.Gid)
	}
	return o
}

// chown changes only what differs, because some systems refuse even the owner that the file
// has already.
func (o Owner) chown(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	is, uid, gid := OwnerOf(info), o.UID, o.GID
	if uid == is.UID {
		uid = -1
	}
	if gid == is.GID {
		gid = -1
	}
	if uid == -1 && gid == -1 {
		return nil
	}
	return f.Chown(uid, gid)
}

// links returns how many names a file has.
func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) //nolint:unconvert // its type differs by platform
	}
	return 1
}

// inheritOwner gives a folder that root has just made to the owner of the folder above.
func inheritOwner(folder, parent string) error {
	of, err := os.Stat(parent)
	if err != nil || !isRoot() || OwnerOf(of).UID == 0 {
		return err
	}
	f, err := os.OpenFile(folder, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0) //nolint:gosec // the host's own path
	if err != nil {
		return err
	}
	o := OwnerOf(of)
	return cmp.Or(f.Chown(o.UID, o.GID), f.Close())
}
