// Package bolt keeps a [store.Store] in one bbolt file. It is the embedded
// default: no server, no account, one process.
//
//	s, err := bolt.Open("/home/mo/.local/state/rouse/rouse.db", bolt.Config{})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// The file is the truth, and memory is its index. On disk everything has keys
// that grow with time, because commits of such keys touch few pages: a plain
// start is two puts, the operation and its event. What must be found fast about
// active operations (by session, by lane in due order, by deadline) stands in
// compact tables in memory, about 64 bytes an operation, which one scan rebuilds
// at Open.
//
// # Guarantees
//
// Beside those of the port, which the suite storetest states:
//
//  1. A write is on disk when its call returns nil, and nobody sees any of it
//     before: bbolt shows a commit when its meta page is written, so every
//     reader compares what it got with the last commit that is known to be
//     synced, and waits for the verdict if it is ahead.
//  2. A commit that failed is never reported as done, nor as not done unless
//     that was looked up. No space: the file is opened anew, and the call says
//     store.ErrFull (not stored) or store.ErrUnknown (stored all the same), and
//     the store goes on. Any other error shuts the store; the next Open copies
//     the file to a new one first, because after a failed sync the page cache
//     may show what the disk lacks.
//  3. Each value carries a checksum over itself and its key. A damaged record is
//     named, copied to a bucket of its own, and does not stop the rest. A damaged
//     event keeps its place in the feed.
//  4. Each event carries a running hash of the feed, and a cursor a part of it,
//     so that a file that was restored or went its own way is seen, and no event
//     is skipped.
//  5. Open neither hangs nor panics, whatever stands at the path, and alters
//     nothing that it refuses. It walks all pages of the file by itself before
//     bbolt, which trusts them, sees it, and compares what it finds with what the
//     last commit said that the file holds: a page that a disk called synced, and
//     lost, is seen although all on the old one has good checksums. A crash while
//     a file is made leaves no half of one.
//  6. Starts are refused with store.ErrFull before there is no room: while the
//     file, under Config.MaxSize and with what its disk has left, could not hold
//     what the active operations need to end. Up to 4 MiB of that are free pages
//     of the file that have their blocks on the disk, so that some thousands of
//     operations go on and end even where other programs take the disk to the last
//     byte. A request that joins or repeats what is stored is answered all the same.
//     When there is room again, starts are taken again; nothing is opened anew.
//  7. Of a damaged file [Repair] makes a sound one, by a copy, and names what is
//     lost. What it finds just as the last commit said it was has lost nothing,
//     wherever it was found, and goes on as the same store; else the file takes an
//     id of its own, and what is active in it counts as perhaps sent. The damaged
//     file stays.
//  8. One process writes at a time: it holds a lock file next to the database from
//     Open to Close, which says who holds it. Processes that only read
//     (Config.ReadOnly, [Verify]) share the lock, and write nothing at all.
//  9. A file that is made next to a database or in its place has the database's
//     owner, group and mode, whichever user makes it; else the call returns
//     [ErrNotOwner] before it writes. A new file of root's belongs to the owner of
//     its folder. No file is written through a symbolic link or under a second name,
//     and none in a folder where every user may replace it ([ErrUnsafe]). Below a
//     folder where every user may make files, such as /tmp, each folder, link and
//     file of the path must belong to this user or to root. A group that may write
//     to the folder is trusted, and so is the owner of a folder that the path names.
//
// # Concurrency
//
// A Store is safe for concurrent use. One goroutine commits, from Open to Close.
// It takes all that waits into one transaction; nobody waits for a timer. No
// transaction is open while a caller has something in hand, and those of readers
// look at 500 records at most, but for Prune, which reads heads only, and
// [Store.Backup].
//
// # Errors
//
// Those of the port, and [ErrLocked], [ErrNewer], [ErrForeign], [ErrReadOnly],
// [ErrNetworkFS], [ErrUnsafe] and [ErrNotOwner] of Open. A *[CorruptError] names
// file, bucket and key, and what to run.
//
// # Caveats
//
// The file belongs to one machine: its byte order is the processor's. Open refuses
// a file system that another machine may write too (NFS, SMB, FUSE, Lustre, BeeGFS,
// GPFS, Ceph, OCFS2, GFS2, AFS, PanFS, 9P, shared folders of virtual machines and
// others), since its locks may hold on one machine only. It treats a kind that it
// does not know in the same way, unless a block device of this machine is behind
// it. Only on Linux can it tell; elsewhere it is up to the host.
//
// A file knows the machine that it belongs to, and is held on another, repaired or
// not: in a cloned image, in a copied home (see store.Foreign, and [Store.Adopt]). It
// keeps a hash of what tells machines apart, never that itself, and the host's
// name for people. A file that has none yet, as one of an older version, takes
// that of the machine that opens it. What is asked: on Linux the machine id
// (/etc/machine-id), the UUID of the board, which only root may read, and EC2's
// instance id; on Windows the MachineGuid. So a clone of a disk that kept its
// machine id is seen by root, or on EC2, and by nobody else; on macOS and other
// systems no copy is seen. Nor is a copy on the same machine, or an older one put
// back: only readers of the feed notice.
//
// A container without a machine id of its own is no machine: its files are held
// nowhere, and move with their volume. One whose image brings an id is the same
// machine wherever it runs. Where that is not so, Config.Machine says which it is.
//
// A copy of the file made while it is open is no backup: use [Store.Backup]. A
// backup that is opened is a store of its own: its active operations count as
// perhaps sent, since the original may have sent them.
//
// The reserve of guarantee 6 counts 1 KiB for each active operation: those with
// very long ids and errors may need more. On a file system that writes every page
// to a new place (btrfs, ZFS), and on Windows, the file's own part of it is not sure
// to be on the disk; what does not fit is then refused, and tried again.
//
// The file does not shrink while it is open. Pruning makes room in it, and Open
// compacts it when more than half is free. On Windows it is as long as its
// mapping in memory, and a new name in a folder is not synced.
//
// If the record of an active operation is damaged, its session counts as free: a
// start of it is a new operation, and the provider's state decides what it does.
//
// [Verify] and [Repair] read what may be damaged, and bbolt's own check of a page
// can end the process, whatever recovers: let a child process do their jobs, with
// limits of memory and time, as the tool does.
//
// A commit of which a disk lost every page, its first page too, is seen by nobody
// but the readers of the feed. There is one schema, and so nothing yet that makes a
// file of one into that of another.
//
// A kernel with ext4's fast_commit and older than 5.10.94, 5.15.27 or 5.17 may
// lose what it said it had synced.
//
// # Rejected
//
// bbolt's free list as a map leaves no room in one piece for the list itself, so
// that a file with large daily prunings grows for ever; BenchmarkMonth shows it.
//
// bbolt's own Batch waits for a timer or a full batch: a committer of our own is
// faster at every number of callers. An index on disk of due times would make a
// start more than two puts, at keys in no order. bbolt's NoFreelistSync would make
// commits a little cheaper, and makes Open walk the whole tree in a goroutine whose
// panic nobody can catch.
package bolt
