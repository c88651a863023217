// Package format is the content of a database file: buckets, keys, records,
// checksums, and the pages of bbolt below them. Package bolt and package repair
// read and write files through it.
//
// Every value is sealed with a checksum over its key and itself ([Seal],
// [Unseal]), so that a value that is damaged, or in the place of another, is
// seen. [CheckFile] reads all pages before bbolt maps them, and compares what
// they hold with what the last commit noted. [CheckDB] reads all records.
// [Guard] and [Inside] make a panic of bbolt on a damaged page an error.
//
// Numbers, names and layouts here are on disk: append only.
package format
