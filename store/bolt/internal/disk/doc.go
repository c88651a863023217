// Package disk handles a database as a file: its path, its lock, its owner, and
// the new files that are made next to it.
//
// A file is never made or copied in its place. [TempFile] makes it next to it,
// [SyncFile] makes it durable, and [PublishFile] or [ReplaceFile] gives it its
// name in one step. A new file gets the owner, group and mode of the database.
//
// The package refuses what is not safe: a file system whose lock or sync may not
// hold ([CheckFS]), a folder in which another user can replace files
// ([CheckFolder]), and a symbolic link in place of a file.
package disk
