// Package bolt keeps a store in one bbolt file: the embedded default.
package bolt
