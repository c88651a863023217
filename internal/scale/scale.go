// Package scale decides how much a random or exhaustive test does, and from which
// seed. So every such test is scaled and repeated in the same way.
//
//	ROUSE_TEST  short (the default: all of go test ./... in two minutes), ci (the
//	            counts of .ci/run) or long (by hand, for up to an hour or more)
//	ROUSE_FOR   how long a test that counts with Times goes on, such as 30m. It stops
//	            early and prints how far it came; that is no failure
//	ROUSE_SEED  repeats one run: each test prints its seed
package scale

import (
	"flag"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Parallel lets n parallel tests of a package run at once, on any number of
// processors, unless -parallel says otherwise. A package whose tests mostly wait, for
// processes or for time, calls it from TestMain.
func Parallel(n int) {
	// This must run before the flags are parsed, so that the command line wins.
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}

// Of returns the count for the scale in ROUSE_TEST. It fails the test if ROUSE_TEST
// is set to anything else.
func Of(t testing.TB, short, ci, long int) int {
	t.Helper()
	switch s := os.Getenv("ROUSE_TEST"); s {
	case "", "short":
		return short
	case "ci":
		return ci
	case "long":
		return long
	default:
		t.Fatalf("ROUSE_TEST is %q, want short, ci or long", s)
		return 0
	}
}

// Times yields the numbers below the count of Of. It stops early when ROUSE_FOR is over
// or the test has failed, and prints how far it came. Call it on the test's own
// goroutine, outside synctest bubbles.
func Times(t testing.TB, short, ci, long int) iter.Seq[int] {
	t.Helper()
	n, end := Of(t, short, ci, long), time.Time{}
	if s := os.Getenv("ROUSE_FOR"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("ROUSE_FOR is %q, want a duration: %v", s, err)
		}
		end = time.Now().Add(d)
	}
	return func(yield func(int) bool) {
		begun, i := time.Now(), 0
		for ; i < n && !t.Failed() && (end.IsZero() || time.Now().Before(end)); i++ {
			if !yield(i) {
				break
			}
		}
		t.Logf("%d of %d in %v", i, n, time.Since(begun).Round(time.Second))
	}
}

// Seed returns ROUSE_SEED, or a new seed, and prints how to repeat the run.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64() //nolint:gosec // a test's
	if s := os.Getenv("ROUSE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("ROUSE_SEED is %q, want a whole number: %v", s, err)
		}
	}
	t.Logf("repeat with ROUSE_SEED=%d", seed)
	return seed
}

// Rand returns a generator of random numbers for seed.
func Rand(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
}
