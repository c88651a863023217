//go:build !linux && !windows

package bolt

// machineFacts is for Linux and Windows only: what other systems offer takes C or
// a program of theirs.
func machineFacts(string) map[string]string { return nil }
