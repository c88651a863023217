//go:build !unix

package bolt

import "os"

// hasOwners: a new file has the permissions of its folder, and nothing is to be
// kept.
const hasOwners = false

const noFollow = 0

func isRoot() bool { return false }

func ownerOf(info os.FileInfo) owner { return owner{uid: -1, gid: -1, mode: info.Mode().Perm()} }

func (o owner) chown(*os.File) error { return nil }

func links(os.FileInfo) uint64 { return 1 }

func inheritOwner(string, string) error { return nil }
