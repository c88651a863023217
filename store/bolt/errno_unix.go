//go:build !windows

package bolt

import "syscall"

// errQuota: the owner's share of the disk is used up.
const errQuota = syscall.EDQUOT
