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

// Schema is the version of a file's content. A file with a greater one is
// refused.
const Schema = 1

// The buckets of schema 1. Their names and what their keys and values mean are
// on disk: append only. So is what their sequences mean: see witness.go.
const (
	BucketOperations = "operations" // 16 bytes of the id → head, CBOR, sum
	BucketEvents     = "events"     // 8 bytes of the sequence, big endian → head, CBOR, sum
	BucketTokens     = "tokens"     // a caller's own token → id, sum
	BucketEnded      = "ended"      // studio, 0, session → id of its latest ended operation, sum
	BucketLanes      = "lanes"      // name → CBOR, sum
	BucketMeta       = "meta"       // see the keys below → value, sum
	BucketQuarantine = "quarantine" // bucket, 0, key → the damaged value as found
	// BucketRecords is absent until the first record is stored, and in files of
	// earlier versions.
	BucketRecords = "records" // 0, kind, 0, name → CBOR, sum
)

// BucketNames lists those that every file has.
func BucketNames() []string {
	return []string{
		BucketOperations, BucketEvents, BucketTokens, BucketEnded,
		BucketLanes, BucketMeta, BucketQuarantine,
	}
}

// AllBuckets lists those that a file may have.
func AllBuckets() []string { return append(BucketNames(), BucketRecords) }

// The keys of the meta bucket.
const (
	MetaSchema  = "schema"  // its number, as text
	MetaID      = "id"      // 16 bytes: the store's random id
	MetaCreated = "created" // 8 bytes: UnixNano
	MetaPruned  = "pruned"  // 8 bytes of the last sequence that was pruned, 8 of its hash
	MetaStamp   = "stamp"   // present: this was never opened; a repair that lost something, if it begins with stampRepair, else a backup
	MetaMachine = "machine" // CBOR: the machine that the file belongs to; absent: it is not known
	MetaHeld    = "held"    // CBOR; present: it was opened on another one, and not adopted
)

// RowID is an operation's id as key: 16 bytes, in the order of time.
type RowID [16]byte

// ParseID returns the key of id. Only the canonical text is an id, so that
// text and key name each other.
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

// SessionKey is a session as key. Neither part may hold a zero byte; the
// engine's own rules for ids are stricter.
func SessionKey(ref transport.Ref) []byte {
	return []byte(ref.StudioID + "\x00" + ref.SessionID)
}

func SeqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// SeqOf is the sequence of a key of the events.
func SeqOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func StoreIDText(id [16]byte) string { return uuid.UUID(id).String() }

// KeyText is a key as a person would write it.
func KeyText(bucket string, key []byte) string {
	switch {
	case bucket == BucketOperations && len(key) == 16:
		return string(RowID(key).Id())
	case bucket == BucketEvents && len(key) == 8:
		return fmt.Sprint(binary.BigEndian.Uint64(key))
	}
	return fmt.Sprintf("%.80q", key)
}

// sumTable is of CRC-32C, which processors compute. Immutable.
var sumTable = crc32.MakeTable(crc32.Castagnoli)

const SumSize = 4

// Seal appends the sum of key and value: bbolt's pages have none, and with the
// key in it a value that stands at another's place is seen too.
func Seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, Sum(key, value))
}

func Sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, sumTable), sumTable, value)
}

// Unseal returns what was sealed, or false if it is not as it was written.
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

// In looks the buckets up. A file of this schema has all but the last.
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

// GetMeta returns a value of the meta bucket, nil if there is none.
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
