package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
)

// limitMemory lets this process take so much more memory than it has; the process dies if
// it takes more. The kernel can limit only the address space, and a Go program reserves
// much of that at its start.
func limitMemory(more uint64) error {
	debug.SetMemoryLimit(int64(more / 4 * 3)) //nolint:gosec // far below
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	size, _, _ := bytes.Cut(text, []byte(" "))
	pages, err := strconv.ParseUint(string(size), 10, 64)
	if err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	limit := pages*uint64(os.Getpagesize()) + more //nolint:gosec // positive
	return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit})
}
