package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Report is what Check found.
type Report struct {
	Operations int
	Events     int
	Tokens     int
	Lanes      int
	Problems   []*CorruptError // each names bucket and key
}

// Check reads every record of the store, and looks whether each is as it was
// written and whether they agree: the feed has no gap and its chain holds, tokens
// and sessions lead to the operations that they belong to, and no session has
// two active operations. It writes nothing. It reads in pages, so what changes
// meanwhile may be seen or not. The error is why it could not go on; what is
// damaged is in the report.
//
// It sees the damage of records. The pages below them were checked by Open; where
// they were damaged since, and Check comes upon it, the error is a *CorruptError.
func (s *Store) Check(ctx context.Context) (Report, error) {
	r, err := checkDB(ctx, s.path, func(fn func(b buckets) error) error { return s.view(ctx, fn) }, nil)
	for _, p := range r.Problems {
		s.note(p)
	}
	return r, err
}

// checker goes through a file, a page of one bucket at a time.
type checker struct {
	path   string
	report Report
	view   func(fn func(b buckets) error) error
	tell   Progress
	read   uint64 // how many records

	active map[transport.Ref]rowID
	events struct {
		begun bool
		next  uint64
		link  link
		bad   bool // the link before the next event cannot be relied on
	}
}

func checkDB(ctx context.Context, path string, view func(fn func(b buckets) error) error, tell Progress) (Report, error) {
	c := &checker{path: path, view: view, tell: tell, active: map[transport.Ref]rowID{}}
	for _, part := range []struct {
		bucket string
		each   func(b buckets, k, v []byte)
	}{
		{bucketMeta, c.meta}, {bucketOperations, c.operation}, {bucketEvents, c.event},
		{bucketTokens, c.token}, {bucketEnded, c.ended}, {bucketLanes, c.lane}, {bucketRecords, c.record},
	} {
		if err := c.pages(ctx, part.bucket, part.each); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

// pages calls each with every pair of a bucket.
func (c *checker) pages(ctx context.Context, bucket string, each func(b buckets, k, v []byte)) error {
	var last []byte
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.view(func(b buckets) error {
			more = false
			from := b.tx.Bucket([]byte(bucket))
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
				if n == pageSize {
					more = true
					return nil
				}
				each(b, k, v)
				c.read++
				c.tell.say("records", c.read, 0)
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

// why is what an error says of a record, without what the problem says already.
func why(bucket string, err error) string {
	var c *CorruptError
	switch {
	case !errors.As(err, &c):
		return err.Error()
	case c.Bucket == bucket:
		return c.Detail
	}
	return fmt.Sprintf("it leads to operation %s: %s", c.Key, c.Detail)
}

func (c *checker) problem(bucket string, key []byte, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, &CorruptError{
		Path: c.path, Bucket: bucket, Key: keyText(bucket, key), Detail: fmt.Sprintf(format, args...),
	})
}

func (c *checker) meta(_ buckets, k, v []byte) {
	if _, ok := unseal(k, v); !ok {
		c.problem(bucketMeta, k, "wrong checksum")
	}
}

func (c *checker) operation(b buckets, k, v []byte) {
	c.report.Operations++
	if len(k) != 16 {
		c.problem(bucketOperations, k, "not an operation's key")
		return
	}
	o, err := decodeOperation(rowID(k), v)
	if err != nil {
		c.problem(bucketOperations, k, "%v", err)
		return
	}
	if was, _, err := decodeHead(v); err != nil || was != headOf(&o) {
		c.problem(bucketOperations, k, "its head says other than its body")
	}
	for _, t := range tokensOf(&o) {
		token := []byte(t)
		if id, ok := unseal(token, b.tokens.Get(token)); !ok || string(id) != string(k) {
			c.problem(bucketOperations, k, "its token %s does not lead to it", t)
		}
	}
	if o.Active() {
		if other, ok := c.active[o.Ref]; ok && stillActive(b, other) {
			c.problem(bucketOperations, k, "session %s has two active operations: %s too", o.Ref, other.id())
		}
		c.active[o.Ref] = rowID(k)
	}
}

// stillActive reports whether an operation that a page before showed as active
// is so yet.
func stillActive(b buckets, key rowID) bool {
	o, err := b.operation(key)
	return err == nil && o.Active()
}

func (c *checker) event(b buckets, k, v []byte) {
	c.report.Events++
	e := &c.events
	pruned, at, err := b.getPruned()
	if !e.begun || pruned >= e.next { // or it was pruned while the check is under way
		e.begun, e.next, e.link, e.bad = true, pruned+1, at, err != nil
	}
	if len(k) != 8 {
		c.problem(bucketEvents, k, "not an event's key")
		return
	}
	seq := binary.BigEndian.Uint64(k)
	if seq != e.next {
		c.problem(bucketEvents, k, "events %d to %d are missing", e.next, seq-1)
		e.bad = true
	}
	text, err := eventText(seq, v)
	if err == nil {
		_, err = decodeEvent([16]byte{}, seq, v)
	}
	switch {
	case err != nil:
		c.problem(bucketEvents, k, "%v", err)
	case !e.bad && e.link.next(seq, text) != linkOf(v):
		c.problem(bucketEvents, k, "it is not the one that followed event %d", seq-1)
	}
	e.next, e.link, e.bad = seq+1, linkOf(v), err != nil
}

func (c *checker) token(b buckets, k, v []byte) {
	c.report.Tokens++
	o, err := b.pointed(bucketTokens, k, v)
	switch {
	case err == nil && !slices.Contains(tokensOf(&o), string(k)):
		c.problem(bucketTokens, k, "it leads to operation %s, which has another token", o.ID)
	case err == store.ErrNotFound: //nolint:errorlint // ours, and never wrapped
		c.problem(bucketTokens, k, "it leads to no operation")
	case err != nil:
		c.problem(bucketTokens, k, "%s", why(bucketTokens, err))
	}
}

func (c *checker) ended(b buckets, k, v []byte) {
	o, err := b.pointed(bucketEnded, k, v)
	switch {
	case err == nil && (o.Active() || string(sessionKey(o.Ref)) != string(k)):
		c.problem(bucketEnded, k, "it leads to operation %s, which is not an ended one of this session", o.ID)
	case err == store.ErrNotFound: //nolint:errorlint // ours, and never wrapped
		c.problem(bucketEnded, k, "it leads to no operation")
	case err != nil:
		c.problem(bucketEnded, k, "%s", why(bucketEnded, err))
	}
}

func (c *checker) lane(_ buckets, k, v []byte) {
	c.report.Lanes++
	if _, err := decodeLane(k, v); err != nil {
		c.problem(bucketLanes, k, "%s", why(bucketLanes, err))
	}
}

func (c *checker) record(_ buckets, k, v []byte) {
	if _, err := decodeRecord(k, v); err != nil {
		c.problem(bucketRecords, k, "%s", why(bucketRecords, err))
	}
}
