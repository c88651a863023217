//go:build !unix

package main

// hangups returns nil: this system has no signal that asks for a reload.
func hangups() (asked <-chan struct{}, stop func()) { return nil, func() {} }
