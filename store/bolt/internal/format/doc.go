// Package format is the content of a database file: buckets, keys, records, checksums, and
// the pages of bbolt below them. Package bolt and package repair read and write files
// through it.
//
// [Seal] adds a checksum over key and value, and [Unseal] checks it. So a reader detects a
// value that is damaged or stored at the wrong key. [CheckFile] reads all pages before bbolt
// maps them, and compares what they hold with the last commit's note. [CheckDB] reads all
// records. [Guard] and [Inside] turn a panic of bbolt on a damaged page into an error.
//
// Numbers, names and layouts here are on disk: append only.
package format
