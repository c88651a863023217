// Package index is the due index in memory: for each active operation, when its
// next step is due, when it must be dealt with, and whether it is claimed. The
// drivers of [github.com/rouse-dev/rouse/store] build [store.Claims] on it.
//
// The index holds nothing that the driver's storage does not hold. The driver
// adds every active operation when it opens its storage. After that it changes
// the index only for commits that it knows to be durable. Claims, and the due
// times that [Index.Release] and [Index.BringForward] set, exist here alone.
//
// # Use
//
// The driver calls [Index.Add], [Index.Update] and [Index.Remove] for what a
// commit changed, and then [Index.Publish]. If Publish reports news, the driver
// wakes the callers of Due, and [Index.Dues] tells them what changed.
// [Index.Claim] takes what a request has slots for; [Index.Remaining] then fills
// in what is left. The index does not read records: the driver reads the
// operations that Claim names, and gives a claim back with [Index.PutBack] if
// that fails.
//
// # Concurrency
//
// An Index is not safe for concurrent use. Its driver guards it with the mutex
// that also guards which commits are visible, so that both change together. No
// method blocks, does I/O or reads the clock.
//
// # Cost
//
// An operation costs about 64 bytes: a row of 48 bytes without a pointer, its
// places in two heaps, and its slot in the table of sessions. The garbage
// collector scans none of them. Claim costs by what it names and takes, never by
// what else is pending. BringForward, ReleaseAll and All visit every row.
//
// # Why the heap is written by hand
//
// container/heap calls an interface for every comparison and moves values as
// any, which allocates for each push. These heaps also keep each row's place in
// the row, so that any row can be taken out, and live in pieces of 1,024, so
// that growing copies nothing.
package index
