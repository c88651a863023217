package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// childDamaged is set in the environment of a process that opens, checks and repairs damaged
// images. Its folder holds the images of a sample's history.
const childDamaged = "ROUSE_TEST_DAMAGED"

// task is the work of such a process: the images from First to Last.
type task struct {
	Seed        uint64
	First, Last int
}

// verdict is the result for one image.
type verdict struct {
	Image  int
	Begun  bool // the process is reading it; if nothing follows, the image killed the process
	Kind   string
	Opened string // refused, right, reported, or what is silently wrong
	Sound  bool   // Check found nothing
	Left   string // "": the image was repaired; else why not
	Intact int    // records of the newest state that the damage spared
	Kept   int    // how many of those are in the repaired file
	Lost   int    // operations that the repaired file lacks
	Failed []string
}

// imageLimit is the longest time for one image.
const imageLimit = 60 * time.Second

// TestDamaged damages files in many ways. Open returns an error, or what was written, or
// reports what is not. Check reports every image that reads otherwise. Repair makes a sound
// file and names what is lost. No call crashes the process or hangs.
func TestDamaged(t *testing.T) {
	t.Parallel()
	seed := scale.Seed(t)
	dir := os.Getenv(damagedDir)
	if dir == "" {
		dir = keptIfFailed(t)
		images, _ := history(t, 250)
		for i, data := range images {
			writeAll(t, filepath.Join(dir, fmt.Sprintf("%03d.db", i)), data)
		}
	}
	each := scale.Of(t, 60, 1000, 1000)
	sums := map[string]*damageSum{}
	for n := range scale.Times(t, 1, 1, 100) {
		// One process reads many images. If an image kills it, the next process begins after
		// that image.
		for first, last := n*each, (n+1)*each; first < last; {
			first = readAll(t, dir, task{Seed: seed, First: first, Last: last}, sums)
		}
	}
	kept, intact := 0, 0
	for _, kind := range slices.Sorted(maps.Keys(sums)) {
		s := sums[kind]
		t.Logf("%-24s %s", kind, s)
		kept, intact = kept+s.kept, intact+s.intact
	}
	t.Logf("in all %d of %d intact records kept", kept, intact)
	if kept*100 < intact*99 {
		t.Errorf("%d of %d intact records were kept, want 99 in a hundred", kept, intact)
	}
	if len(sums) != len(damages) {
		t.Errorf("only %d of %d kinds of damage were drawn", len(sums), len(damages))
	}
}

// damagedDir names a folder with the images of a failed run. With the run's seed and these
// images a run can be repeated, because bbolt arranges its pages at random.
const damagedDir = "ROUSE_DAMAGED"

// keptIfFailed returns a folder that stays if the test fails.
func keptIfFailed(t *testing.T) string {
	dir, err := os.MkdirTemp("", "rouse-damaged")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
			return
		}
		t.Logf("repeat with %s=%s too", damagedDir, dir)
	})
	return dir
}

// damageSum counts the results for the images of one kind.
type damageSum struct {
	images, refused, right, reported, sound, intact, kept, lost int
	none                                                        int // nothing was left to repair
}

func (s *damageSum) String() string {
	return fmt.Sprintf("%d images: %d refused, %d right, %d reported by Open; %d sound for Check; nothing was left of %d; %d of %d intact records kept, %d operations lost",
		s.images, s.refused, s.right, s.reported, s.sound, s.none, s.kept, s.intact, s.lost)
}

func (s *damageSum) add(v *verdict) {
	s.images++
	switch v.Opened {
	case "refused":
		s.refused++
	case "right":
		s.right++
	case "reported":
		s.reported++
	}
	if v.Sound {
		s.sound++
	} else if v.Left != "" {
		s.none++
	}
	s.intact, s.kept, s.lost = s.intact+v.Intact, s.kept+v.Kept, s.lost+v.Lost
}

// readAll makes a process read images until the last, or until one kills it or takes too
// long, which fails the test. It returns the first image that is left.
func readAll(t *testing.T, dir string, j task, sums map[string]*damageSum) int {
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, filepath.Join(dir, "task"), text)
	said := make(chan verdict)
	p := child.Start(t, child.Self(t, childDamaged, dir), func(line string) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			v.Failed = []string{line}
		}
		said <- v
	})
	at := verdict{Image: j.First}
	for {
		select {
		case v := <-said:
			at = v
			if v.Begun {
				continue
			}
			for _, f := range v.Failed {
				t.Errorf("image %d (%s): %s", v.Image, v.Kind, f)
			}
			if sums[v.Kind] == nil {
				sums[v.Kind] = &damageSum{}
			}
			sums[v.Kind].add(&v)
		case <-p.Ended:
			if at.Image+1 < j.Last || at.Begun {
				t.Errorf("image %d (%s) killed the process: %v", at.Image, at.Kind, p.Wait())
			}
			return at.Image + 1
		case <-time.After(imageLimit):
			t.Errorf("image %d (%s) takes more than %s", at.Image, at.Kind, imageLimit)
			go func() { // until the process has ended
				for range said {
				}
			}()
			p.Kill()
			close(said)
			return at.Image + 1
		}
	}
}

// readDamaged is the main function of the process.
func readDamaged(dir string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, "task"))
	if err != nil {
		return err
	}
	var j task
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		return err
	}
	r := reader{work: filepath.Join(dir, "work")}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r.images = append(r.images, data)
	}
	if err := r.prepare(); err != nil {
		return err
	}
	say := json.NewEncoder(out)
	for i := j.First; i < j.Last; i++ {
		rng := scale.Rand(j.Seed + uint64(i))
		kind := damages[i%len(damages)]
		if err := say.Encode(verdict{Image: i, Kind: kind.name, Begun: true}); err != nil {
			return err
		}
		v := r.read(kind.do(rng, &r))
		v.Image, v.Kind = i, kind.name
		if err := say.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// reader reads damaged images of a sample.
type reader struct {
	work    string // a folder that is emptied for each image
	images  [][]byte
	now     []byte // the newest of them
	page    int
	want    content
	used    []uint64 // the pages that are in use
	records []placed
}

// placed is a record of the newest state, and its place in the file.
type placed struct {
	from, to int
	op       store.ID
	seq      uint64
	ended    bool // it is a session's row that points to the operation
}

// prepare reads the undamaged sample.
func (r *reader) prepare() error {
	r.now = slices.Clip(r.images[len(r.images)-1])
	metas, _, err := format.ReadMetas(bytes.NewReader(r.now))
	if err != nil || len(metas) != 2 {
		return fmt.Errorf("%d first pages, %w", len(metas), err)
	}
	r.page = int(metas[0].PageSize)
	img := format.Image{Data: r.now, PageSize: r.page}
	for id, ok := range format.FindInUse(img, metas[0]).Reached {
		if !ok {
			continue
		}
		r.used = append(r.used, uint64(id))
		if _, flags, _, _ := img.Header(uint64(id)); flags != format.PageLeaf {
			continue
		}
		format.EachElement(img.From(uint64(id)), r.page, func(_ uint32, key, value []byte) {
			p := placed{from: cap(r.now) - cap(key), to: cap(r.now) - cap(value) + len(value)} // both are parts of one slice
			switch format.KindOf("", key, value) {
			case format.BucketOperations:
				p.op = format.RowID(key).Id()
			case format.BucketEvents:
				p.seq = format.SeqOf(key)
			case format.BucketEnded:
				p.op, p.ended = format.RowID(value[:16]).Id(), true
			default:
				return
			}
			r.records = append(r.records, p)
		})
	}
	r.used = append(r.used, metas[0].Freelist)
	path, err := r.put(r.now)
	if err != nil {
		return err
	}
	s, err := Open(path, Config{noSync: true})
	if err != nil {
		return err
	}
	r.want, err = contentOf(&notes{}, s)
	return errors.Join(err, s.Close())
}

// put writes an image into an empty folder.
func (r *reader) put(data []byte) (string, error) {
	if err := os.RemoveAll(r.work); err != nil {
		return "", err
	}
	if err := os.Mkdir(r.work, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(r.work, "rouse.db")
	return path, os.WriteFile(path, data, 0o600)
}

// notes collects the errors of a test's helpers where there is no test.
type notes struct {
	testing.TB
	said []string
}

func (n *notes) Helper()                   {}
func (n *notes) Context() context.Context  { return context.Background() }
func (n *notes) Error(args ...any)         { n.said = append(n.said, fmt.Sprint(args...)) }
func (n *notes) Errorf(f string, a ...any) { n.said = append(n.said, fmt.Sprintf(f, a...)) }

// read opens, checks and repairs an image.
func (r *reader) read(data []byte) verdict {
	n := &notes{}
	v := verdict{Opened: r.open(n, data)}
	path, err := r.put(data)
	if err != nil {
		return verdict{Failed: []string{err.Error()}}
	}
	report, err := repair.Check(n.Context(), path, repair.CheckConfig{})
	if err != nil && !errors.Is(err, disk.ErrForeign) {
		n.Errorf("Verify: %v", err)
	}
	v.Sound = err == nil && len(report.Problems) == 0
	if v.Sound && v.Opened != "right" {
		n.Errorf("Check found nothing, but Open: %s", v.Opened)
	}
	repaired, err := repair.Repair(n.Context(), path, repair.Config{})
	switch {
	case err != nil:
		if left := r.intact(data); (errors.Is(err, store.ErrCorrupt) || errors.Is(err, disk.ErrForeign)) && !slices.ContainsFunc(left, func(p placed) bool { return !p.ended }) {
			v.Left = "nothing is left"
			break
		}
		n.Errorf("Repair: %v", err)
	case (len(repaired.Was.Problems) == 0) != v.Sound:
		n.Errorf("Check found %v, but Repair %v", report.Problems, repaired.Was.Problems)
	case !v.Sound:
		r.checkRepaired(n, path, repaired, data, &v)
	}
	v.Failed = n.said[:min(len(n.said), 5)]
	return v
}

// open opens an image as a host does, and returns the result.
func (r *reader) open(n *notes, data []byte) string {
	path, err := r.put(data)
	if err != nil {
		n.Error(err)
		return ""
	}
	s, err := Open(path, Config{noSync: true})
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, disk.ErrForeign) {
			n.Errorf("Open: %v, want ErrCorrupt", err)
		}
		if now, rerr := os.ReadFile(path); rerr != nil || !bytes.Equal(now, data) {
			n.Errorf("Open refused it (%v), and altered it", err)
		}
		return "refused"
	}
	defer func() { _ = s.Close() }()
	got, err := contentOf(n, s)
	wrong := got.differs(r.want)
	if wrong == "" && err == nil {
		return "right"
	}
	stats, serr := s.Stats(n.Context())
	for id, o := range got.ops { // what is not reported must be unchanged
		if w, ok := r.want.ops[id]; !ok || o.Version != w.Version {
			n.Errorf("Open accepted it, and operation %s reads as %+v, want %+v", id, o, w)
		}
	}
	if err != nil || serr != nil || stats.Quarantined > 0 || slices.ContainsFunc(got.events, func(e store.Event) bool { return e.Reason == store.ReasonCorrupt }) {
		return "reported"
	}
	n.Errorf("Open accepted it and does not report this: %s", wrong)
	return wrong
}

// checkRepaired checks a repaired file.
func (r *reader) checkRepaired(n *notes, path string, repaired repair.Repaired, data []byte, v *verdict) {
	s, err := Open(path, Config{noSync: true})
	if err != nil {
		n.Errorf("the repaired file: %v", err)
		return
	}
	defer func() { _ = s.Close() }()
	got, err := contentOf(n, s)
	if err != nil {
		n.Errorf("the repaired file: %v", err)
	}
	if report, err := s.Check(n.Context()); err != nil || len(report.Problems) > 0 {
		n.Errorf("the repaired file: %v, %v", report.Problems, err)
	}
	if repaired.Outcome.Forked {
		v.Lost = checkRepaired(n, r.want, got, repaired.Outcome, len(r.want.ops))
	} else if d := got.differs(r.want); d != "" {
		n.Errorf("the repaired file differs, and no loss was reported: %s", d)
	}
	events := map[uint64]store.Event{}
	for _, e := range got.events {
		events[e.Seq] = e
	}
	for _, p := range r.intact(data) {
		o, ok := got.ops[p.op]
		if p.ended {
			if ok && o.Active() {
				n.Errorf("operation %s had ended according to its session's row, and is %s", p.op, o.Phase)
			}
			continue
		}
		v.Intact++
		if p.seq != 0 {
			ok = events[p.seq].Operation != ""
		}
		if ok {
			v.Kept++
		}
	}
	if !strings.HasPrefix(repaired.Original, path) {
		n.Errorf("Repair reports that the damaged file is at %q", repaired.Original)
	}
}

// intact returns the records of the newest state that an image still holds unchanged.
func (r *reader) intact(data []byte) (left []placed) {
	for _, p := range r.records {
		if p.to <= len(data) && bytes.Equal(data[p.from:p.to], r.now[p.from:p.to]) {
			left = append(left, p)
		}
	}
	return left
}
