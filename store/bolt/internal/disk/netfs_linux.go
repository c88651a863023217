package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fileSystem is a kind of file system, by the number that statfs returns.
type fileSystem struct {
	Magic uint32
	Name  string
	Risk  string // why a lock or a sync may not hold; empty means that only this machine writes it
}

// These numbers are written by hand because golang.org/x/sys/unix lacks them: it generates
// its numbers from linux/magic.h, which lacks these file systems. Each comment names the
// source of the number.
const (
	acfsMagic   = 0x61636673 // Oracle ACFS: coreutils
	aufsMagic   = 0x61756673 // aufs: its magic.h
	beegfsMagic = 0x19830326 // BeeGFS, earlier FhGFS: FhgfsOpsSuper.h
	gfs2Magic   = 0x01161970 // GFS and GFS2: linux/gfs2_ondisk.h
	gpfsMagic   = 0x47504653 // IBM Storage Scale: coreutils
	ibrixMagic  = 0x013111a8 // HPE Ibrix: coreutils
	lustreMagic = 0x0bd00bd0 // Lustre: lustre_user.h
	orangeMagic = 0x20030528 // OrangeFS: fs/orangefs
	panfsMagic  = 0xaad7aaea // PanFS: coreutils
	prlMagic    = 0x7c7c6673 // Parallels shared folders: coreutils
	snfsMagic   = 0xbeefdead // Quantum StorNext: coreutils
	vboxMagic   = 0x786f4256 // VirtualBox shared folders: fs/vboxsf
	vmhgfsMagic = 0xbacbacbc // VMware shared folders: coreutils
	vxfsMagic   = 0xa501fcf5 // Veritas: coreutils

	wslMagic   = 0x53464846 // WSL 1: coreutils
	ubifsMagic = 0x24051905 // flash memory: fs/ubifs
	zfsMagic   = 0x2fc12fc1 // OpenZFS
)

const smbRisk = "under nobrl its locks hold on one client only, and its syncs depend on a file server"

// FileSystems are the known kinds. An unknown kind is accepted if a disk of this machine is
// behind it. Otherwise it is treated as a network file system.
var FileSystems = []fileSystem{
	{unix.NFS_SUPER_MAGIC, "NFS", "under local_lock and on old kernels its locks hold on one client only, and a restart of the server ends them"},
	{unix.SMB_SUPER_MAGIC, "SMB", smbRisk},
	{unix.CIFS_SUPER_MAGIC, "SMB", smbRisk},
	{unix.SMB2_SUPER_MAGIC, "SMB", smbRisk},
	{unix.AFS_SUPER_MAGIC, "AFS", "its server may drop locks, and its files are written when they are closed"},
	{unix.AFS_FS_MAGIC, "AFS", "under flock=local its locks hold on one client only, and its server may drop them"},
	{unix.CODA_SUPER_MAGIC, "Coda", "it goes on while the server is away, and merges the changes later"},
	{unix.NCP_SUPER_MAGIC, "NCP", "its locks and syncs depend on a file server"},
	{unix.CEPH_SUPER_MAGIC, "Ceph", "other clients write it, and a client that is cut off loses its locks"},
	{unix.V9FS_MAGIC, "9P", "its locks hold on one client only if the server or the mount does not pass them on"},
	{unix.FUSE_SUPER_MAGIC, "FUSE", "its locks and syncs depend on a program, and often on a network file system behind it"},
	{lustreMagic, "Lustre", "under localflock its locks hold on one node only"},
	{beegfsMagic, "BeeGFS", "its locks hold on one node only unless tuneUseGlobalFileLocks is set"},
	{gpfsMagic, "GPFS", "other nodes write it, and a node that is cut off loses its locks"},
	{panfsMagic, "PanFS", "other nodes write it, and its locks may hold on one node only"},
	{snfsMagic, "StorNext", "other nodes write it, and its locks may hold on one node only"},
	{ibrixMagic, "Ibrix", "other nodes write it, and its locks may hold on one node only"},
	{orangeMagic, "OrangeFS", "its locks hold on one node only"},
	{unix.OCFS2_SUPER_MAGIC, "OCFS2", "other nodes write the same disk, and under localflocks its locks hold on one node only"},
	{gfs2Magic, "GFS2", "other nodes write the same disk, and under localflocks its locks hold on one node only"},
	{acfsMagic, "ACFS", "other nodes may write the same disk"},
	{vxfsMagic, "VxFS", "other nodes may write the same disk"},
	{vboxMagic, "a VirtualBox shared folder", "its locks do not reach the host, which has the same files"},
	{vmhgfsMagic, "a VMware shared folder", "its locks do not reach the host, which has the same files"},
	{prlMagic, "a Parallels shared folder", "its locks do not reach the host, which has the same files"},
	{unix.HOSTFS_SUPER_MAGIC, "hostfs", "its locks do not reach the host, which has the same files"},
	{unix.ECRYPTFS_SUPER_MAGIC, "eCryptfs", "it does not say which file system is below it"},
	{aufsMagic, "aufs", "it does not say which file system is below it"},

	{unix.BCACHEFS_SUPER_MAGIC, "bcachefs", ""},
	{unix.BTRFS_SUPER_MAGIC, "btrfs", ""},
	{unix.OVERLAYFS_SUPER_MAGIC, "overlayfs", ""}, // its upper layer must support more than a network file system offers
	{unix.RAMFS_MAGIC, "ramfs", ""},
	{unix.TMPFS_MAGIC, "tmpfs", ""},
	{ubifsMagic, "UBIFS", ""},
	{wslMagic, "WSL", ""},
	{zfsMagic, "ZFS", ""},
}

// Classify returns the file system with that number. onDisk says whether a block device of
// this machine is behind it.
func Classify(magic uint32, onDisk bool) fileSystem {
	for _, f := range FileSystems {
		if f.Magic == magic {
			return f
		}
	}
	f := fileSystem{Magic: magic, Name: fmt.Sprintf("unknown kind %#x", magic)}
	if !onDisk {
		f.Risk = "no disk of this machine is behind it"
	}
	return f
}

// CheckFS refuses a database on a file system that other machines may write, unless allow is
// true. It checks the folder, and the file if there is one, because a container may have
// mounted the file alone.
func CheckFS(path string, allow bool) error {
	if allow {
		return nil
	}
	for _, name := range []string{filepath.Dir(path), path} {
		var at unix.Statfs_t
		var of unix.Stat_t
		err := unix.Statfs(name, &at)
		if err == nil {
			err = unix.Stat(name, &of)
		}
		switch {
		case errors.Is(err, os.ErrNotExist) && name == path:
			continue
		case err != nil:
			return fmt.Errorf("bolt: file system of %s: %w", name, err)
		}
		// A file system without a block device has a device number of major 0.
		f := Classify(uint32(at.Type), unix.Major(uint64(of.Dev)) != 0) //nolint:gosec,unconvert // 32 bits; the types differ by architecture
		if f.Risk != "" {
			return fmt.Errorf("%w (%s: %s): %s: choose a folder on a disk of this machine", ErrNetworkFS, f.Name, f.Risk, name)
		}
	}
	return nil
}
