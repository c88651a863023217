package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/google/uuid"
	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Schema is the version of a file's content. This version refuses a file with a greater one.
const Schema = 1

// The buckets of schema 1. Their names, and the meaning of their keys, values and sequences,
// are on disk: append only. For the sequences see note.go.
const (
	BucketOperations = "operations" // 16 bytes of the id → head, CBOR, sum
	BucketEvents     = "events"     // 8 bytes of the sequence, big endian → head, CBOR, sum
	BucketTokens     = "tokens"     // a caller's own token → id, sum
	BucketEnded      = "ended"      // studio, 0, session → id of the session's latest ended operation, sum
	BucketLanes      = "lanes"      // name → CBOR, sum
	BucketMeta       = "meta"       // see the keys below → value, sum
	BucketQuarantine = "quarantine" // bucket, 0, key → the damaged value as found
	// BucketRecords is absent until the first record is stored, and in files of
	// earlier versions.
	BucketRecords = "records" // 0, kind, 0, name → CBOR, sum
)

// BucketNames returns the buckets that every file has.
func BucketNames() []string {
	return []string{
		BucketOperations, BucketEvents, BucketTokens, BucketEnded,
		BucketLanes, BucketMeta, BucketQuarantine,
	}
}

// AllBuckets returns the buckets that a file may have.
func AllBuckets() []string { return append(BucketNames(), BucketRecords) }

// The keys of the meta bucket.
const (
	MetaSchema  = "schema"  // its number, as text
	MetaID      = "id"      // 16 bytes: the store's random id
	MetaCreated = "created" // 8 bytes: UnixNano
	MetaPruned  = "pruned"  // 8 bytes of the last sequence that was pruned, 8 of its hash
	MetaStamp   = "stamp"   // present: the file was never opened. It is a repair that lost something if the value begins with StampRepair, else a backup
	MetaMachine = "machine" // CBOR: the machine that the file belongs to; absent: not known
	MetaHeld    = "held"    // CBOR; present: the file was opened on another machine, and not adopted
)

// RowID is an operation's id as a key: 16 bytes, in the order of time.
type RowID [16]byte

// ParseID returns the key of id. It accepts only the canonical text, so that each key has
// one text.
func ParseID(id store.ID) (RowID, bool) {
	const canonical = 36
	if len(id) != canonical || strings.ToLower(string(id)) != string(id) {
		return RowID{}, false
	}
	u, err := uuid.Parse(string(id))
	return RowID(u), err == nil
}

func (k RowID) Compare(other RowID) int { return bytes.Compare(k[:], other[:]) }

func (k RowID) Id() store.ID { return store.ID(uuid.UUID(k).String()) }

// SessionKey returns a session as a key. Neither part may contain a zero byte, and the
// engine's own rules for ids are stricter.
func SessionKey(ref transport.Ref) []byte {
	return []byte(ref.StudioID + "\x00" + ref.SessionID)
}

func SeqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// SeqOf returns the sequence in a key of the events.
func SeqOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func StoreIDText(id [16]byte) string { return uuid.UUID(id).String() }

// KeyText returns a key as text for people.
func KeyText(bucket string, key []byte) string {
	switch {
	case bucket == BucketOperations && len(key) == 16:
		return string(RowID(key).Id())
	case bucket == BucketEvents && len(key) == 8:
		return fmt.Sprint(binary.BigEndian.Uint64(key))
	}
	return fmt.Sprintf("%.80q", key)
}

// sumTable is for CRC-32C, which processors compute. It never changes.
var sumTable = crc32.MakeTable(crc32.Castagnoli)

const SumSize = 4

// Seal appends the checksum of key and value, because bbolt's pages have none. With the key
// in the checksum, a reader also detects a value that is stored at another key.
func Seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, Sum(key, value))
}

func Sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, sumTable), sumTable, value)
}

// Unseal returns what was sealed, or false if it was damaged.
func Unseal(key, sealed []byte) ([]byte, bool) {
	n := len(sealed) - SumSize
	if n < 0 {
		return nil, false
	}
	value := sealed[:n:n]
	return value, Sum(key, value) == binary.BigEndian.Uint32(sealed[n:])
}

// Buckets is a transaction with its buckets looked up.
type Buckets struct {
	Tx                                          *bbolt.Tx
	Ops, Events, Tokens, Ended, Lanes, Meta, Qu *bbolt.Bucket
	Records                                     *bbolt.Bucket // nil: the file has none
}

// In looks the buckets up. Every file has all but Records.
func In(tx *bbolt.Tx) (Buckets, error) {
	b := Buckets{Tx: tx}
	places := []**bbolt.Bucket{&b.Ops, &b.Events, &b.Tokens, &b.Ended, &b.Lanes, &b.Meta, &b.Qu}
	for i, name := range BucketNames() {
		if *places[i] = tx.Bucket([]byte(name)); *places[i] == nil {
			return b, &CorruptError{Bucket: name, Detail: "the bucket is missing"}
		}
	}
	b.Records = tx.Bucket([]byte(BucketRecords))
	return b, nil
}

// GetMeta returns a value of the meta bucket, or nil if there is none.
func (b Buckets) GetMeta(key string) ([]byte, error) {
	sealed := b.Meta.Get([]byte(key))
	if sealed == nil {
		return nil, nil
	}
	value, ok := Unseal([]byte(key), sealed)
	if !ok {
		return nil, &CorruptError{Bucket: BucketMeta, Key: key, Detail: "wrong checksum"}
	}
	return append([]byte(nil), value...), nil
}
