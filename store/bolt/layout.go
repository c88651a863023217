package bolt

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

// schema is the version of what stands in a file. A file with a greater one is
// refused.
const schema = 1

// The buckets of schema 1. Their names and what their keys and values mean are
// on disk: append only. So is what their sequences mean: see witness.go.
const (
	bucketOperations = "operations" // 16 bytes of the id → head, CBOR, sum
	bucketEvents     = "events"     // 8 bytes of the sequence, big endian → head, CBOR, sum
	bucketTokens     = "tokens"     // a caller's own token → id, sum
	bucketEnded      = "ended"      // studio, 0, session → id of its latest ended operation, sum
	bucketLanes      = "lanes"      // name → CBOR, sum
	bucketMeta       = "meta"       // see the keys below → value, sum
	bucketQuarantine = "quarantine" // bucket, 0, key → the damaged value as found
	// bucketRecords is absent until the first record is stored, and in files of
	// earlier versions.
	bucketRecords = "records" // 0, kind, 0, name → CBOR, sum
)

// bucketNames lists those that every file has.
func bucketNames() []string {
	return []string{
		bucketOperations, bucketEvents, bucketTokens, bucketEnded,
		bucketLanes, bucketMeta, bucketQuarantine,
	}
}

// allBuckets lists those that a file may have.
func allBuckets() []string { return append(bucketNames(), bucketRecords) }

// The keys of the meta bucket.
const (
	metaSchema  = "schema"  // its number, as text
	metaID      = "id"      // 16 bytes: the store's random id
	metaCreated = "created" // 8 bytes: UnixNano
	metaPruned  = "pruned"  // 8 bytes of the last sequence that was pruned, 8 of its hash
	metaStamp   = "stamp"   // present: this was never opened; a repair that lost something, if it begins with stampRepair, else a backup
	metaMachine = "machine" // CBOR: the machine that the file belongs to; absent: it is not known
	metaHeld    = "held"    // CBOR; present: it was opened on another one, and not adopted
)

// rowID is an operation's id as key: 16 bytes, in the order of time.
type rowID [16]byte

// parseID returns the key of id. Only the canonical text is an id, so that
// text and key name each other.
func parseID(id store.ID) (rowID, bool) {
	const canonical = 36
	if len(id) != canonical || strings.ToLower(string(id)) != string(id) {
		return rowID{}, false
	}
	u, err := uuid.Parse(string(id))
	return rowID(u), err == nil
}

func (k rowID) compare(other rowID) int { return bytes.Compare(k[:], other[:]) }

func (k rowID) id() store.ID { return store.ID(uuid.UUID(k).String()) }

// sessionKey is a session as key. Neither part may hold a zero byte; the
// engine's own rules for ids are stricter.
func sessionKey(ref transport.Ref) []byte {
	return []byte(ref.StudioID + "\x00" + ref.SessionID)
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// seqOf is the sequence of a key of the events.
func seqOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func storeIDText(id [16]byte) string { return uuid.UUID(id).String() }

// keyText is a key as a person would write it.
func keyText(bucket string, key []byte) string {
	switch {
	case bucket == bucketOperations && len(key) == 16:
		return string(rowID(key).id())
	case bucket == bucketEvents && len(key) == 8:
		return fmt.Sprint(binary.BigEndian.Uint64(key))
	}
	return fmt.Sprintf("%.80q", key)
}

// sumTable is of CRC-32C, which processors compute. Immutable.
var sumTable = crc32.MakeTable(crc32.Castagnoli)

const sumSize = 4

// seal appends the sum of key and value: bbolt's pages have none, and with the
// key in it a value that stands at another's place is seen too.
func seal(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, sum(key, value))
}

func sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, sumTable), sumTable, value)
}

// unseal returns what was sealed, or false if it is not as it was written.
func unseal(key, sealed []byte) ([]byte, bool) {
	n := len(sealed) - sumSize
	if n < 0 {
		return nil, false
	}
	value := sealed[:n:n]
	return value, sum(key, value) == binary.BigEndian.Uint32(sealed[n:])
}

// buckets is a transaction with its buckets looked up.
type buckets struct {
	tx                                          *bbolt.Tx
	ops, events, tokens, ended, lanes, meta, qu *bbolt.Bucket
	records                                     *bbolt.Bucket // nil: the file has none
}

// in looks the buckets up. A file of this schema has all but the last.
func in(tx *bbolt.Tx) (buckets, error) {
	b := buckets{tx: tx}
	places := []**bbolt.Bucket{&b.ops, &b.events, &b.tokens, &b.ended, &b.lanes, &b.meta, &b.qu}
	for i, name := range bucketNames() {
		if *places[i] = tx.Bucket([]byte(name)); *places[i] == nil {
			return b, &CorruptError{Bucket: name, Detail: "the bucket is missing"}
		}
	}
	b.records = tx.Bucket([]byte(bucketRecords))
	return b, nil
}

// getMeta returns a value of the meta bucket, nil if there is none.
func (b buckets) getMeta(key string) ([]byte, error) {
	sealed := b.meta.Get([]byte(key))
	if sealed == nil {
		return nil, nil
	}
	value, ok := unseal([]byte(key), sealed)
	if !ok {
		return nil, &CorruptError{Bucket: bucketMeta, Key: key, Detail: "wrong checksum"}
	}
	return append([]byte(nil), value...), nil
}
