package disk

import "syscall"

// errQuota is ERROR_DISK_FULL, the error on Windows where other systems have ENOSPC.
const errQuota = syscall.Errno(112)
