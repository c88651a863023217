//go:build !linux

package main

import "runtime/debug"

// limitMemory has the garbage collector work hard before this process takes more.
// The system has no limit that ends it.
func limitMemory(more uint64) error {
	debug.SetMemoryLimit(int64(more / 4 * 3)) //nolint:gosec // far below
	return nil
}
