package format

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// PageSize is how many records one read transaction covers. A transaction that stays open
// keeps bbolt from reusing freed pages.
const PageSize = 500

// Report is what Check found.
type Report struct {
	Operations int
	Events     int
	Tokens     int
	Lanes      int
	Problems   []*CorruptError // each names bucket and key
}

// checker reads a file, one page of one bucket at a time.
type checker struct {
	path   string
	report Report
	view   func(fn func(b Buckets) error) error
	tell   Progress
	read   uint64 // how many records

	active map[transport.Ref]RowID
	events struct {
		begun bool
		next  uint64
		link  Link
		bad   bool // the link before the next event is not known
	}
}

func CheckDB(ctx context.Context, path string, view func(fn func(b Buckets) error) error, tell Progress) (Report, error) {
	c := &checker{path: path, view: view, tell: tell, active: map[transport.Ref]RowID{}}
	for _, part := range []struct {
		bucket string
		each   func(b Buckets, k, v []byte)
	}{
		{BucketMeta, c.meta}, {BucketOperations, c.operation}, {BucketEvents, c.event},
		{BucketTokens, c.token}, {BucketEnded, c.ended}, {BucketLanes, c.lane}, {BucketRecords, c.record},
	} {
		if err := c.pages(ctx, part.bucket, part.each); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

// pages calls each with every pair of a bucket.
func (c *checker) pages(ctx context.Context, bucket string, each func(b Buckets, k, v []byte)) error {
	var last []byte
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.view(func(b Buckets) error {
			more = false
			from := b.Tx.Bucket([]byte(bucket))
			if from == nil { // the file has no records
				return nil
			}
			cur := from.Cursor()
			k, v := cur.First()
			if last != nil {
				if k, v = cur.Seek(last); string(k) == string(last) {
					k, v = cur.Next()
				}
			}
			for n := 0; k != nil; n++ {
				if n == PageSize {
					more = true
					return nil
				}
				each(b, k, v)
				c.read++
				c.tell.Call("records", c.read, 0)
				last = append(last[:0:0], k...)
				k, v = cur.Next()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// why returns what an error says about a record, without what the problem already says.
func why(bucket string, err error) string {
	var c *CorruptError
	switch {
	case !errors.As(err, &c):
		return err.Error()
	case c.Bucket == bucket:
		return c.Detail
	}
	return fmt.Sprintf("it points to operation %s: %s", c.Key, c.Detail)
}

func (c *checker) problem(bucket string, key []byte, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, &CorruptError{
		Path: c.path, Bucket: bucket, Key: KeyText(bucket, key), Detail: fmt.Sprintf(format, args...),
	})
}

func (c *checker) meta(_ Buckets, k, v []byte) {
	if _, ok := Unseal(k, v); !ok {
		c.problem(BucketMeta, k, "wrong checksum")
	}
}

func (c *checker) operation(b Buckets, k, v []byte) {
	c.report.Operations++
	if len(k) != 16 {
		c.problem(BucketOperations, k, "not an operation's key")
		return
	}
	o, err := DecodeOperation(RowID(k), v)
	if err != nil {
		c.problem(BucketOperations, k, "%v", err)
		return
	}
	if was, _, err := DecodeHead(v); err != nil || was != HeadOf(&o) {
		c.problem(BucketOperations, k, "its head and its body differ")
	}
	for _, t := range TokensOf(&o) {
		token := []byte(t)
		if id, ok := Unseal(token, b.Tokens.Get(token)); !ok || string(id) != string(k) {
			c.problem(BucketOperations, k, "its token %s does not point to it", t)
		}
	}
	if o.Active() {
		if other, ok := c.active[o.Ref]; ok && stillActive(b, other) {
			c.problem(BucketOperations, k, "session %s has a second active operation, %s", o.Ref, other.Id())
		}
		c.active[o.Ref] = RowID(k)
	}
}

// stillActive reports whether an operation is still active that an earlier page showed as
// active.
func stillActive(b Buckets, key RowID) bool {
	o, err := b.Operation(key)
	return err == nil && o.Active()
}

func (c *checker) event(b Buckets, k, v []byte) {
	c.report.Events++
	e := &c.events
	pruned, at, err := b.GetPruned()
	if !e.begun || pruned >= e.next { // or the event was pruned during the check
		e.begun, e.next, e.link, e.bad = true, pruned+1, at, err != nil
	}
	if len(k) != 8 {
		c.problem(BucketEvents, k, "not an event's key")
		return
	}
	seq := binary.BigEndian.Uint64(k)
	if seq != e.next {
		c.problem(BucketEvents, k, "events %d to %d are missing", e.next, seq-1)
		e.bad = true
	}
	text, err := EventText(seq, v)
	if err == nil {
		_, err = DecodeEvent([16]byte{}, seq, v)
	}
	switch {
	case err != nil:
		c.problem(BucketEvents, k, "%v", err)
	case !e.bad && e.link.Next(seq, text) != LinkOf(v):
		c.problem(BucketEvents, k, "it does not follow event %d in the feed's chain", seq-1)
	}
	e.next, e.link, e.bad = seq+1, LinkOf(v), err != nil
}

func (c *checker) token(b Buckets, k, v []byte) {
	c.report.Tokens++
	o, err := b.Pointed(BucketTokens, k, v)
	switch {
	case err == nil && !slices.Contains(TokensOf(&o), string(k)):
		c.problem(BucketTokens, k, "it points to operation %s, which has another token", o.ID)
	case err == store.ErrNotFound: //nolint:errorlint // ours, and never wrapped
		c.problem(BucketTokens, k, "it points to no operation")
	case err != nil:
		c.problem(BucketTokens, k, "%s", why(BucketTokens, err))
	}
}

func (c *checker) ended(b Buckets, k, v []byte) {
	o, err := b.Pointed(BucketEnded, k, v)
	switch {
	case err == nil && (o.Active() || string(SessionKey(o.Ref)) != string(k)):
		c.problem(BucketEnded, k, "it points to operation %s, which is not an ended operation of this session", o.ID)
	case err == store.ErrNotFound: //nolint:errorlint // ours, and never wrapped
		c.problem(BucketEnded, k, "it points to no operation")
	case err != nil:
		c.problem(BucketEnded, k, "%s", why(BucketEnded, err))
	}
}

func (c *checker) lane(_ Buckets, k, v []byte) {
	c.report.Lanes++
	if _, err := DecodeLane(k, v); err != nil {
		c.problem(BucketLanes, k, "%s", why(BucketLanes, err))
	}
}

func (c *checker) record(_ Buckets, k, v []byte) {
	if _, err := DecodeRecord(k, v); err != nil {
		c.problem(BucketRecords, k, "%s", why(BucketRecords, err))
	}
}
