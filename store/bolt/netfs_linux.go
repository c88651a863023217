package bolt

import (
	"fmt"
	"syscall"
)

// networkFS names the file systems whose locks and syncs another host, or a
// program in between, answers for, by the magic number that statfs gives.
func networkFS(magic int64) string {
	switch uint32(magic) { //nolint:gosec // the kernel's numbers have 32 bits
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x65735546:
		return "FUSE"
	case 0x5346414f:
		return "AFS"
	case 0x00c36400:
		return "Ceph"
	case 0x01021997:
		return "9P"
	case 0x0bd00bd0:
		return "Lustre"
	}
	return ""
}

// checkFS refuses a folder on a network file system unless that is allowed.
func checkFS(folder string, allow bool) error {
	if allow {
		return nil
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(folder, &st); err != nil {
		return fmt.Errorf("bolt: file system of %s: %w", folder, err)
	}
	if kind := networkFS(int64(st.Type)); kind != "" { //nolint:unconvert // its type differs by architecture
		return fmt.Errorf("%w (%s): %s: choose a folder of this machine", ErrNetworkFS, kind, folder)
	}
	return nil
}
