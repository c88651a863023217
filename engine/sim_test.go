package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/internal/scale"
)

// The simulation has an engine, its file, and a host that is killed, sleeps and has a
// wrong clock. Its provider has every fault that providers have. A day takes a fraction
// of a second in a synctest bubble. The parts:
//
//	sim_script_test.go    the day, drawn from a seed
//	sim_provider_test.go  the world's time, and the provider
//	sim_store_test.go     the points at which the host is killed
//	sim_host_test.go      the host, which follows the script
//	sim_oracle_test.go    what it is judged by
//	sim_plant_test.go     bugs that each check must find
//
// The script of a seed is always the same. The order of the bubble's goroutines and the
// engine's jitter are not. So a seed that failed fails again most of the time, not each
// time. Each bug that it found is fixed and has a test of its own.

// keptSeeds are the seeds that found something, with what they found. Each run of CI
// repeats them. If the draws of the script change, they become days like any others.
var keptSeeds = []struct {
	seed  uint64
	found string
}{
	{3, "a start that took its time, and a read of the past: a false returned_to_stopped"},
	{5, "an operation with unknown outcome EXPIRED by an untrusted clock"},
	{6, "every token was pruned by a clock that was ahead at boot"},
	{11, "a boot was over as soon as a clock that was behind was set right"},
	{21, "reads for a late READY did not keep a Retry-After"},
	{42, "the startedAt of an own send was taken for one from before: two effects"},
	{62, "a clock that was set back long ago made a lost answer ambiguous"},
	{159, "after a clock that was ahead, reads without a result never ended"},
	{181, "a clock set right was taken for the grace of stale reads"},
	{416, "Explain showed a next step by a clock that had been ahead"},
	{1043, "the Run after a clock was set right took a boot for a year old"},
	{1061, "a first send dated by a clock that was ahead, judged by the next Run: two effects"},
	{2056, "a Run that began with a wrong clock trusted a read of the past"},
	{7123, "a trial call past a deadline wrote the error of a lane that was blocked for a day, just before the end"},
	{120021, "the age of a request was counted to the beginning of a slow call: two effects"},
	{880165, "a start accepted by a clock that was behind, and a read of the past in the next Run: a false returned_to_stopped"},
	{3000391, "a clock that was behind at the end of a Run had moved a boot back: given up by the next"},
	{3300033, "the oracle reported a write that corrected the times of a request in an offline lane; the write was right"},
	{5000074, "times that a clock never showed counted as shown: a lost answer became ambiguous"},
	{6001946, "the oracle did not trust a clock that went ahead by three minutes; the engine rightly did"},
	{7700020, "a lane that was idle while the clock was wrong was forgotten, with its Retry-After"},
	{8000488, "a join undid the correction of a time from a clock that had been ahead, and the token was forgotten by then: two effects"},
	{8200980, "just after a sleep, Explain showed a trial call of a clock that was set right before the sleep"},
	{20261136, "a slow answer's date became the date of a send: two effects"},
	{20261144, "a Run with a wrong clock used it to decide when the last Run had sent: two effects"},
	{17200860220480675917, "the oracle reported two effects: a start was refused and its second copy was not, which promise 2 does not cover"},
}

// TestSimulation simulates days. No promise is broken in any of them.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seed, folder := scale.Seed(t), ram.Dir(t)
	reached, days := map[string]int{}, 0
	live := func(seed uint64) {
		v := simulate(t, folder, seed, simPlant{})
		for _, b := range v.blames {
			t.Errorf("seed %d: %s", seed, b)
		}
		for k, n := range v.reached {
			reached[k] += n
		}
		reached["operations"] += v.ops
		days++
	}
	for _, k := range keptSeeds[:scale.Of(t, 2, len(keptSeeds), len(keptSeeds))] {
		live(k.seed)
	}
	for i := range scale.Times(t, 8, 80, 500_000) {
		live(seed + uint64(i))
	}
	for _, k := range slices.Sorted(maps.Keys(reached)) {
		t.Logf("%7d %s", reached[k], k)
	}
	if t.Failed() {
		return
	}
	for _, what := range simMustReach() {
		if reached[what] == 0 && days >= simDaysUntil(what) {
			t.Errorf("%d days, and %q never happened", days, what)
		}
	}
}

// simDaysUntil returns after how many days a thing must have happened. The number
// is so large that a test without it is a fault of the simulation, not bad luck. In a run
// of 240 days, all or nearly all days had the usual things. At least 15 days in 100 had
// each thing that is not named here.
func simDaysUntil(what string) int {
	switch what {
	case "killed before floor", "killed after floor": // some days in 100
		return 300
	case "token forgotten": // some days in 1000: the engine knows how long a provider remembers a token
		return 5000
	case "stopped by hand", "started by hand", "answer lost", "answer too late", "request dropped", "past shown", "not found for a while",
		"waited for", "cancel: never sent: canceled", conflicting.String(), throttling.String(), internal5xx.String():
		return 10
	}
	return 100
}

// simMustReach returns what must happen in a simulation of enough days.
func simMustReach() []string {
	out := []string{
		"booted with a wrong clock", "sleeps", "stopped by hand", "started by hand", "answer lost", "answer too late", "request dropped",
		"past shown", "not found for a while", "token forgotten", "token known again", "effect of a second copy",
		"effect later than its time-out", "waited for", "cancel: never sent: canceled",
	}
	for _, p := range simPointNames {
		out = append(out, p)
	}
	for k := offline; k < simKinds; k++ {
		out = append(out, k.String())
	}
	return out
}

// TestSimulationRepeats: the same seed gives the same script, and each operation whose
// end the script decides ends the same.
func TestSimulationRepeats(t *testing.T) {
	t.Parallel()
	seed, folder := scale.Seed(t), ram.Dir(t)
	for i := range scale.Times(t, 1, 6, 1000) {
		s := seed + uint64(i)
		if a, b := fmt.Sprintf("%+v", drawDay(s)), fmt.Sprintf("%+v", drawDay(s)); a != b {
			t.Fatalf("seed %d: two scripts", s)
		}
		a, b := simulate(t, folder, s, simPlant{}), simulate(t, folder, s, simPlant{})
		same := 0
		for ask, end := range a.all {
			if end == b.all[ask] {
				same++
			}
		}
		t.Logf("seed %d: %d of %d requests ended alike, and %d had to", s, same, len(a.all), len(a.ends))
		if len(a.blames) != len(b.blames) {
			t.Errorf("seed %d: %q, and then %q", s, a.blames, b.blames)
		}
		for ask, end := range a.ends {
			if other, ok := b.ends[ask]; ok && other != end {
				t.Errorf("seed %d: request %d ended %s, and then %s", s, ask, end, other)
			}
		}
		if len(a.ends) < 20 {
			t.Errorf("seed %d: the script decides %d ends only", s, len(a.ends))
		}
	}
}
