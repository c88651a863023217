//go:build !unix

package command

import "os/exec"

// group leaves cmd as it is: without process groups, only the program itself is
// ended with its context.
func group(*exec.Cmd) {}
