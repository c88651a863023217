package disk

import "syscall"

// errQuota is ERROR_DISK_FULL: what Windows says where others have ENOSPC.
const errQuota = syscall.Errno(112)
