package bolt

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestWalkFitsBbolt: whatever bbolt writes, puts and removals at random in
// buckets of all sizes, the walk accepts; and it meets just the pairs that are
// there.
func TestWalkFitsBbolt(t *testing.T) {
	t.Parallel()
	rng := scale.Rand(scale.Seed(t))
	path := testPath(t)
	db, err := openBolt(path, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	want := map[string]string{}
	most := 0
	for range scale.Of(t, 150, 400, 20_000) {
		if err := db.Update(func(tx *bbolt.Tx) error { return churn(tx, rng, want) }); err != nil {
			t.Fatal(err)
		}
		metas, _, err := readMetas(f)
		if err != nil || len(metas) != 2 {
			t.Fatalf("%d first pages, %v", len(metas), err)
		}
		if err := checkPages(f, metas[0], nil); err != nil {
			t.Fatalf("the walk refuses what bbolt wrote: %v", err)
		}
		met := map[string]string{}
		w := newWalk(f, metas[0])
		w.visit = func(bucket string, key, value []byte) error {
			met[bucket+"/"+string(key)] = string(value)
			return nil
		}
		if err := w.bucket(metas[0].root, 0); err != nil {
			t.Fatal(err)
		}
		if err := same(met, want); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(met))
	}
	if most < 1000 {
		t.Errorf("at most %d pairs: the test is too kind", most)
	}
}

// churn changes some of three buckets: it appends, removes runs from the front
// as Prune does, and changes in the middle.
func churn(tx *bbolt.Tx, rng *rand.Rand, want map[string]string) error {
	for _, name := range []string{"a", "b", "c"} {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		b.FillPercent = []float64{0.5, fill}[rng.IntN(2)]
		for range rng.IntN(60) {
			next, _ := b.NextSequence()
			key := binary.BigEndian.AppendUint64(nil, next)
			if rng.IntN(4) == 0 { // somewhere in the middle
				key = binary.BigEndian.AppendUint64(nil, rng.Uint64N(next+1))
			}
			value := make([]byte, rng.IntN(400))
			if rng.IntN(50) == 0 {
				value = make([]byte, rng.IntN(20_000)) // more than a page
			}
			want[name+"/"+string(key)] = string(value)
			if err := b.Put(key, value); err != nil {
				return err
			}
		}
		if rng.IntN(4) > 0 {
			continue
		}
		c := b.Cursor()
		k, _ := c.First()
		if rng.IntN(2) == 0 {
			next, _ := b.NextSequence()
			k, _ = c.Seek(binary.BigEndian.AppendUint64(nil, rng.Uint64N(next+1)))
		}
		for n := rng.IntN(200); k != nil && n > 0; n-- {
			delete(want, name+"/"+string(k))
			if err := c.Delete(); err != nil {
				return err
			}
			k, _ = c.Next()
		}
	}
	return nil
}

func same(met, want map[string]string) error {
	if len(met) != len(want) {
		return errors.New("the walk meets other pairs than there are")
	}
	for k, v := range want {
		if met[k] != v {
			return errors.New("the walk meets another value")
		}
	}
	return nil
}
