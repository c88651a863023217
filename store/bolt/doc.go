// Package bolt keeps a [store.Store] in one bbolt file. It is the default: no server,
// no account, one process.
//
//	s, err := bolt.Open("/home/mo/.local/state/rouse/rouse.db", bolt.Config{})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//
// # The file
//
// The file is the truth, and memory holds an index of it. Keys on disk grow with time,
// because a commit of such keys touches few pages. A plain start is two puts, the
// operation and its event. What must be found fast about active operations (by session,
// by lane in due order, by deadline) is in memory, about 64 bytes for each operation.
// Open builds it by one scan. The process owns every lane: see [Store.Own].
//
// # Guarantees
//
// These guarantees come in addition to those of the port:
//
//  1. A write is on disk when its call returns nil, and no caller sees any of it before.
//     bbolt shows a commit when its meta page is written. So every reader compares the
//     transaction that it got with the last one that is known to be synced, and waits if
//     its own is newer.
//  2. A commit that failed is never reported as done. It is reported as not done only
//     after the store has looked it up. If there is no space, the store opens the file
//     again and goes on. The call returns store.ErrFull (not stored) or store.ErrUnknown
//     (stored all the same). Any other error closes the store. The next Open then copies
//     the file to a new one first, because after a failed sync the page cache may hold
//     what the disk lacks.
//  3. Each value carries a checksum over itself and its key. A corrupt record is
//     reported, copied to the quarantine, and does not stop other calls. A corrupt event
//     keeps its place in the feed.
//  4. Each event carries a running hash of the feed, and a cursor carries a part of that
//     hash. So the store detects a file that was restored, or that two machines changed,
//     and no event is skipped.
//  5. Open neither hangs nor panics, whatever is at the path, and does not change what it
//     refuses. bbolt trusts the pages that it maps. So Open walks all pages first, and
//     compares them with the note of the last commit. That detects a page that the disk
//     reported as synced and lost, although the page in its place has good checksums. A
//     crash while a file is made leaves no half of it.
//  6. New operations are refused with store.ErrFull while there is still space for the
//     active ones to end. The limit is what the file may grow to by Config.MaxSize and by
//     the free space of its disk. Up to 4 MiB of the reserve are free pages of the file
//     whose blocks are on the disk, so that thousands of operations end even if other
//     programs fill the disk. A request that joins or repeats an operation is always
//     answered. When there is space again, new operations are accepted again.
//  7. Package repair writes a repaired copy of a damaged file and names what is lost. A
//     file that holds exactly what the last commit left has lost nothing and stays the
//     same store. Otherwise the copy gets an id of its own, and the sends of its active
//     operations count as unknown. The damaged file stays.
//  8. One process writes at a time. From Open to Close it holds a lock file next to the
//     database, which names the holder. Processes that only read (Config.ReadOnly,
//     repair.Check) share the lock and write nothing at all.
//  9. A file made next to a database or in its place has the database's owner, group and
//     mode, whichever user makes it. If that is not possible, the call returns
//     [ErrNotOwner] before it writes. A new file that root makes belongs to the owner of
//     its folder. The package writes no file through a symbolic link or under a second
//     name, and none in a folder where every user may replace it ([ErrUnsafe]). Below a
//     folder where every user may make files, such as /tmp, each folder, link and file of
//     the path must belong to this user or to root. A group that may write to the folder
//     is trusted, and so is the owner of a folder that the path names.
//
// # Concurrency
//
// A Store is safe for concurrent use. One goroutine, the committer, commits from Open to
// Close. It writes all waiting requests in one transaction: see commit.go. No request
// waits for a timer. No transaction is open while a caller handles a result. A reader's
// transaction covers at most 500 records, except for Prune, which reads heads only, and
// [Store.Backup].
//
// # Errors
//
// Open returns [ErrLocked], [ErrNewer], [ErrForeign], [ErrReadOnly], [ErrNetworkFS],
// [ErrUnsafe] and [ErrNotOwner] in addition to the errors of the port. A *[CorruptError]
// names the file, the bucket, the key, and what to run.
//
// # Caveats
//
// Network file systems. The locks of a file system that other machines write may hold on
// one machine only. On Linux, Open refuses such file systems (NFS, SMB, FUSE, Lustre,
// BeeGFS, GPFS, Ceph, OCFS2, GFS2, AFS, PanFS, 9P, shared folders of virtual machines and
// others). It also refuses an unknown file system without a block device of this machine.
// On other systems Open cannot tell, and the host must make sure. The file's byte order
// is the processor's.
//
// Other machines. A file records the machine that it belongs to, as a hash and as the
// host's name. On another machine, in a cloned image or a copied home, the store is
// foreign: see [store.Foreign] and [Store.Adopt]. A file without that record, such as one
// of an older version, takes the machine that opens it. Linux distinguishes machines by
// /etc/machine-id, the board's UUID (which only root may read) and EC2's instance id, and
// Windows by the MachineGuid. So only root, or a host on EC2, detects a clone of a disk
// that kept its machine id. On macOS and other systems no copy is detected. Only
// followers of the feed detect a copy on the same machine, or an older copy that was put
// back. A container without a machine id of its own is no machine, and its files move
// with their volume. A container whose image has an id is the same machine wherever it
// runs. Set Config.Machine where that is wrong.
//
// Backups. A copy of the file made while it is open is no backup: use [Store.Backup]. A
// backup that is opened becomes a store of its own. The sends of its active operations
// count as unknown, since the original may have sent them.
//
// Space. The reserve of guarantee 6 counts 1 KiB for each active operation. Operations
// with very long ids and errors may need more. Some file systems write every page to a
// new place (btrfs, ZFS). There, and on Windows, the file's own part of the reserve may
// not be on the disk. What does not fit is then refused and tried again. The file does
// not shrink while it is open: pruning frees pages in it, and Open compacts it when more
// than half is free. On Windows the file is as long as its mapping in memory, and a new
// name in a folder is not synced.
//
// Damage. If the record of an active operation is corrupt, its session counts as free. A
// start of it is a new operation, and the provider's state decides what that does.
// Package repair reads pages that may be damaged, and bbolt's own check of a page can end
// the process. Let a child process run it, with limits of memory and time, as the tool
// does. If a disk loses every page of a commit, its first page too, only followers of the
// feed detect it. A kernel older than 5.10.94, 5.15.27 or 5.17 with ext4's fast_commit
// may lose what it reported as synced.
//
// There is one schema, so there is no code yet that migrates a file from one to another.
//
// # Rejected
//
// bbolt's free list as a map: no run of pages is left that is long enough for the list
// itself, so that a file with large daily prunings grows forever. BenchmarkMonth shows
// it.
//
// bbolt's own Batch: it waits for a timer or a full batch, and is slower at every number
// of callers.
//
// An index of due times on disk: a start would be more than two puts, at keys in no
// order.
//
// bbolt's NoFreelistSync: commits are a little cheaper, but Open would walk the whole
// tree in a goroutine whose panic no recover can catch.
package bolt
