//go:build !windows

package disk

import "syscall"

// errQuota means that the owner's share of the disk is used up.
const errQuota = syscall.EDQUOT
