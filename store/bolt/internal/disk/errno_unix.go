//go:build !windows

package disk

import "syscall"

// errQuota: the owner's share of the disk is used up.
const errQuota = syscall.EDQUOT
