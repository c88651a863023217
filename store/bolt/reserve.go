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
// disk, so that it is there even if another program fills the disk. bbolt would grow the
// file by a hole, so makeRoom grows it first.

const (
	// reserveBase is for what a commit copies before it frees the original.
	reserveBase = 512 << 10
	// reserveEach is what an active operation still needs: its record grows, and its
	// events and the row of its end are added. TestReserveEach measures it.
	reserveEach = 1 << 10
	// reserveOwn is how much of the reserve is kept in the file. The rest need only be
	// free on the disk.
	reserveOwn = 4 << 20
	// growStep is how much the file grows at once if the disk has plenty. A smaller file at
	// most doubles.
	growStep = 4 << 20
	// diskFloor is what is left on the disk for others, or a 64th of a small disk.
	diskFloor = 16 << 20
	// minMaxSize is the least of Config.MaxSize.
	minMaxSize = 1 << 20
	// largest is about what the largest new operation takes.
	largest = 4 << 10
	// askAgain is for how long an answer about the disk's free space is used.
	askAgain = time.Second
)

// reserve is what n active operations need to end.
func reserve(n int) int64 { return reserveBase + int64(n)*reserveEach }

// space is what the committer knows of the space in the file and on its disk.
type space struct {
	file    *os.File // as bbolt has it open
	known   bool     // backed is
	backed  int64    // the file's beginning that has its blocks
	asked   time.Time
	growing int64 // by how much the file could grow when that was asked
}

// room is the space for the pages of a transaction.
type room struct {
	spare   int64 // in the file
	growing int64 // by how much it could grow
	why     error // it could not, though the disk said so
}

func (r room) holds(need int64) bool { return r.spare+r.growing >= need }

// makeRoom grows the file, if the disk allows it, until it holds what the active
// operations need to end and bytes more. It returns the space that there is. If there is
// enough already, it makes no system call. An error is the disk's, not a lack of space.
func (s *Store) makeRoom(tx *bbolt.Tx, active int, bytes int64) (room, error) {
	sp := &s.space
	if !sp.known {
		if err := s.fillHoles(); err != nil {
			return room{}, err
		}
	}
	sp.backed = max(sp.backed, tx.Size()) // bbolt may have grown it, and written that
	r := room{spare: spareIn(s.db, tx, sp.backed)}
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
	for _, step := range steps { // a limit of the file's size may be other than what was asked
		page := int64(s.db.Info().PageSize)
		step = min((step+page-1)/page*page, r.growing)
		err := s.extend(sp.backed, sp.backed+step)
		switch {
		case err == nil:
			sp.backed += step
			sp.growing -= step
			return room{spare: r.spare + step, growing: sp.growing}, nil
		case errors.Is(err, errors.ErrUnsupported):
			return r, nil
		case !disk.IsFull(err):
			return r, err
		}
		full = err
	}
	s.config.Logger.Warn("the file cannot grow", "path", s.path, "by", missing, "error", full.Error())
	sp.growing = 0
	return room{spare: r.spare, why: full}, nil
}

// spareIn returns what is free in the first backed bytes of the file. What the last commit
// freed is free by now, unless a reader may still need it.
func spareIn(db *bbolt.DB, tx *bbolt.Tx, backed int64) int64 {
	st := db.Stats()
	pages := st.FreePageN
	if st.OpenTxN == 0 || !tx.Writable() {
		pages += st.PendingPageN
	}
	return int64(pages)*int64(db.Info().PageSize) + max(0, backed-tx.Size())
}

// growth returns by how much the file could grow from size, as Config.MaxSize and the disk
// allow.
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

// fillHoles gives the file the blocks that it lacks: it may have been copied, or
// grown by bbolt, with holes.
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

// extend makes the file longer by blocks that are on the disk. On Windows bbolt does.
func (s *Store) extend(from, to int64) error {
	return s.config.growing(func() error {
		f := s.space.file
		err := allocate(f, from, to)
		if errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "windows" {
			err = writeZeros(f, from, to)
		}
		if err == nil && !s.config.noSync {
			err = f.Sync() // some kernels sync a file's length only so
		}
		return err
	})
}

// writeZeros is for file systems on which allocate does not work. No page is in use there
// yet.
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

// refuseStarts marks the requests that would leave too little space after those that are in
// the transaction already. It lets a request through that adds nothing, because it joins
// or repeats an operation.
func (b *batch) refuseStarts(rs []*request) error {
	active, bytes := b.active, b.bytes
	for _, r := range rs {
		r.refused = nil
		if r.adds != nil {
			active, bytes = active+r.size, bytes+r.bytes
		}
	}
	have, err := b.s.makeRoom(b.Tx, active, bytes)
	if err == nil && !have.holds(reserve(active)+bytes) { // the answer may be old: space was freed since
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
func (s *Store) fullError(have room, active int) error {
	left, kept := mib(have.spare+have.growing), mib(reserve(active))
	if size, err := disk.FileSize(s.path); err == nil && s.config.MaxSize > 0 && s.config.MaxSize-size <= have.growing {
		return fmt.Errorf("%w: %s may grow to %s (MaxSize), has %s left, and keeps %s so that what is active (%d) can end: prune it, or allow more",
			store.ErrFull, s.path, mib(s.config.MaxSize), left, kept, active)
	}
	err := fmt.Errorf("%w: %s and its disk have %s left, and %s of that are kept so that what is active (%d) can end: make room on the disk, or prune",
		store.ErrFull, s.path, left, kept, active)
	if have.why != nil {
		return fmt.Errorf("%w (%w)", err, have.why)
	}
	return err
}

// full returns why a new operation would be refused now, or nil. Unlike makeRoom it changes
// nothing, and any goroutine may call it.
func (s *Store) full(tx *bbolt.Tx, size int64, active int) error {
	r := room{spare: spareIn(s.db, tx, size)}
	if r.holds(reserve(active+1) + largest) {
		return nil
	}
	if r.growing = s.growth(size); r.holds(reserve(active+1) + largest) {
		return nil
	}
	return s.fullError(r, active)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
