package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/internal/disk"

	"github.com/rouse-dev/rouse/store"
	bbolt "go.etcd.io/bbolt"
)

// New operations are refused before the space is used up, because active operations need
// space to end. The reserve for that is in the file: free pages whose blocks are on the
// disk. So it is available even if another program fills the disk. bbolt would grow the file
// by a hole, so makeRoom grows it first.

const (
	// reserveBase is for the pages that a commit copies before it frees the originals.
	reserveBase = 512 << 10
	// reserveEach is the space that an active operation still needs: its record grows, and its
	// events and the row of its end are added. TestReserveEach measures it.
	reserveEach = 1 << 10
	// reserveOwn is how much of the reserve is kept in the file. The rest only has to be free
	// on the disk.
	reserveOwn = 4 << 20
	// growStep is how much the file grows at once if the disk has plenty of space. A smaller
	// file at most doubles.
	growStep = 4 << 20
	// diskFloor is what is left on the disk for other programs, or a 64th of a small disk.
	diskFloor = 16 << 20
	// minMaxSize is the least Config.MaxSize.
	minMaxSize = 1 << 20
	// largest is the approximate size of the largest new operation.
	largest = 4 << 10
	// askAgain is how long an answer about the disk's free space is used.
	askAgain = time.Second
)

// reserve returns the space that n active operations need to end.
func reserve(n int) int64 { return reserveBase + int64(n)*reserveEach }

// space is what the committer knows about the space in the file and on its disk.
type space struct {
	file    *os.File // the file that bbolt has open
	known   bool     // backed is known
	backed  int64    // this many bytes from the file's beginning have their blocks
	asked   time.Time
	growing int64 // by how much the file could grow when the disk was last asked
}

// freeSpace is the space for the pages of a transaction.
type freeSpace struct {
	spare   int64 // in the file
	growing int64 // by how much the file could grow
	why     error // why the file did not grow, although the disk had space
}

func (r freeSpace) holds(need int64) bool { return r.spare+r.growing >= need }

// makeRoom grows the file, if the disk allows it, until it holds what the active operations
// need to end and bytes more. It returns the space that there is. If there is enough
// already, it makes no system call. Its error means that the disk failed, and never that
// there is no space.
func (s *Store) makeRoom(tx *bbolt.Tx, active int, bytes int64) (freeSpace, error) {
	sp := &s.space
	if !sp.known {
		if err := s.fillHoles(); err != nil {
			return freeSpace{}, err
		}
	}
	sp.backed = max(sp.backed, tx.Size()) // bbolt may have grown the file, and written that part
	r := freeSpace{spare: spareIn(s.db, tx, sp.backed)}
	if r.holds(reserve(active) + bytes) {
		return r, nil
	}
	if now := time.Now(); sp.asked.IsZero() || now.Sub(sp.asked) > askAgain {
		sp.asked, sp.growing = now, s.growth(sp.backed)
	}
	r.growing = sp.growing
	missing := min(reserve(active), reserveOwn) + bytes - r.spare
	if missing <= 0 || missing > r.growing {
		return r, nil
	}
	steps := []int64{max(missing, min(s.config.growBy, sp.backed, r.growing/8)), missing}
	if steps[0] == missing {
		steps = steps[1:]
	}
	var full error
	for _, step := range steps { // the file's size may have another limit than the disk's free space
		page := int64(s.db.Info().PageSize)
		step = min((step+page-1)/page*page, r.growing)
		err := s.extend(sp.backed, sp.backed+step)
		switch {
		case err == nil:
			sp.backed += step
			sp.growing -= step
			return freeSpace{spare: r.spare + step, growing: sp.growing}, nil
		case errors.Is(err, errors.ErrUnsupported):
			return r, nil
		case !disk.IsFull(err):
			return r, err
		}
		full = err
	}
	s.config.Logger.Warn("the file cannot grow", "path", s.path, "by", missing, "error", full.Error())
	sp.growing = 0
	return freeSpace{spare: r.spare, why: full}, nil
}

// spareIn returns the free space in the first backed bytes of the file. What the last commit
// freed is included, unless a reader may still need it.
func spareIn(db *bbolt.DB, tx *bbolt.Tx, backed int64) int64 {
	st := db.Stats()
	pages := st.FreePageN
	if st.OpenTxN == 0 || !tx.Writable() {
		pages += st.PendingPageN
	}
	return int64(pages)*int64(db.Info().PageSize) + max(0, backed-tx.Size())
}

// growth returns by how much the file could grow from size, as far as Config.MaxSize and the
// disk allow.
func (s *Store) growth(size int64) int64 {
	left := int64(1) << 62
	if s.config.MaxSize > 0 {
		left = max(0, s.config.MaxSize-size)
	}
	if free, all, ok := diskSpace(filepath.Dir(s.path)); ok {
		left = min(left, max(0, free-min(diskFloor, all/64)))
	}
	return left
}

// fillHoles gives the file the blocks that it lacks. A file has holes after some kinds of
// copying, or after bbolt grew it.
func (s *Store) fillHoles() error {
	sp := &s.space
	size, err := disk.FileSize(s.path)
	if err == nil {
		err = allocate(sp.file, 0, size)
	}
	switch {
	case err == nil, errors.Is(err, errors.ErrUnsupported):
		sp.backed = size
	case !disk.IsFull(err):
		return err
	default:
		s.config.Logger.Warn("the file has holes that the disk cannot fill", "path", s.path, "error", err.Error())
		sp.backed = 0
	}
	sp.known = true
	return nil
}

// extend makes the file longer by blocks that are on the disk. On Windows bbolt does that.
func (s *Store) extend(from, to int64) error {
	return s.config.growing(func() error {
		f := s.space.file
		err := allocate(f, from, to)
		if errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "windows" {
			err = writeZeros(f, from, to)
		}
		if err == nil && !s.config.noSync {
			err = f.Sync() // some kernels sync a file's length only with this call
		}
		return err
	})
}

// writeZeros is for file systems on which allocate does not work. No page of the part is in
// use yet.
func writeZeros(f *os.File, from, to int64) error {
	zeros := make([]byte, 64<<10)
	for from < to {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// refuseStarts refuses requests that would leave too little space, after those that are
// already in the transaction. It accepts a request that adds nothing, because it joins or
// repeats an operation.
func (b *batch) refuseStarts(rs []*request) error {
	active, bytes := b.active, b.bytes
	for _, r := range rs {
		r.refused = nil
		if r.adds != nil {
			active, bytes = active+r.size, bytes+r.bytes
		}
	}
	have, err := b.s.makeRoom(b.Tx, active, bytes)
	if err == nil && !have.holds(reserve(active)+bytes) { // the answer may be old, and space may have become free
		b.s.space.asked = time.Time{}
		have, err = b.s.makeRoom(b.Tx, active, bytes)
	}
	if err != nil {
		return err
	}
	for _, r := range rs {
		if r.adds == nil {
			continue
		}
		if need := reserve(b.active+r.size) + b.bytes + r.bytes; have.holds(need) {
			b.active, b.bytes = b.active+r.size, b.bytes+r.bytes
			continue
		}
		if r.adds(b) {
			r.refused = b.s.fullError(have, b.active+r.size)
		}
	}
	return nil
}

// fullError says why new operations are refused, and what helps.
func (s *Store) fullError(have freeSpace, active int) error {
	left, kept := mib(have.spare+have.growing), mib(reserve(active))
	if size, err := disk.FileSize(s.path); err == nil && s.config.MaxSize > 0 && s.config.MaxSize-size <= have.growing {
		return fmt.Errorf("%w: %s may grow to %s (MaxSize), has %s left, and keeps %s so that its %d active operations can end: prune the store, or raise MaxSize",
			store.ErrFull, s.path, mib(s.config.MaxSize), left, kept, active)
	}
	err := fmt.Errorf("%w: %s and its disk have %s left, and %s of that are kept so that its %d active operations can end: free space on the disk, or prune the store",
		store.ErrFull, s.path, left, kept, active)
	if have.why != nil {
		return fmt.Errorf("%w (%w)", err, have.why)
	}
	return err
}

// full returns why a new operation would be refused now, or nil. In contrast to makeRoom, it
// changes nothing, and any goroutine may call it.
func (s *Store) full(tx *bbolt.Tx, size int64, active int) error {
	r := freeSpace{spare: spareIn(s.db, tx, size)}
	if r.holds(reserve(active+1) + largest) {
		return nil
	}
	if r.growing = s.growth(size); r.holds(reserve(active+1) + largest) {
		return nil
	}
	return s.fullError(r, active)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
