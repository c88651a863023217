//go:build !linux && !windows

package bolt

// machineFacts is for Linux and Windows only. Other systems give such facts only through C
// or through one of their programs.
func machineFacts(string) map[string]string { return nil }
