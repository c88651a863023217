//go:build !unix

package command

import "os/exec"

// group does nothing. Without process groups, only the program itself is killed when its
// context ends.
func group(*exec.Cmd) {}
