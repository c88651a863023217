package engine_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
)

// The script of a simulated day: everything that happens to host and provider. It is
// drawn from a seed before the day begins. The seed, the session and the call's number
// decide the fate of a single call, so the order of goroutines does not change it.

// simDay is the script.
type simDay struct {
	seed       uint64
	lanes      []simLane
	acts       []simAct // by time
	asks       []simAsk // requests, by number
	keepEvents int
}

// simLane is a studio of the provider: how it behaves, and its weather.
type simLane struct {
	name      string
	traits    transport.Traits
	cfg       engine.LaneConfig
	lossy     float64 // probability that something happens to a call on its way
	tellsDate bool    // answers carry the provider's date, and sessions their times
	skew      time.Duration
	weather   []simWeather
	sessions  int
	doomed    bool // its last weather never ends
}

// simWeather is how a lane's calls are answered for a while.
type simWeather struct {
	kind       simKind
	from, to   time.Duration // since the day began, by the world's clock
	retryAfter time.Duration
}

// simKind is a kind of weather.
type simKind uint8

const (
	fair simKind = iota
	offline
	portal // a captive portal: lets nothing through
	silence
	throttling
	quota
	capacity
	internal5xx
	conflicting
	credentialsExpired
	looksDenied
	startsDenied
	lossy
	simKinds
)

var simKindNames = [simKinds]string{
	"fair", "offline", "portal", "silence", "throttling", "quota", "capacity", "internal", "conflict",
	"credentials", "looks denied", "starts denied", "lossy",
}

func (k simKind) String() string { return simKindNames[k] }

// simAsk is one request for a session.
type simAsk struct {
	ref           engine.Ref
	token         string
	after, expiry time.Duration // not-before and expiry, from the request; 0: none
	steadfast     bool          // nothing disturbs it: it must succeed
}

// simAct is one act of the script at its time.
type simAct struct {
	at   time.Duration
	do   simVerb
	n, m int           // of the ask, session or lane
	span time.Duration // how long: a sleep, a pause between two lives
	by   simPoint      // the point at which the host is killed
}

// simVerb is a kind of act.
type simVerb uint8

const (
	doStart simVerb = iota
	doStartMany
	doRepeat // the same request, verbatim
	doJoin   // the same session, without a token
	doCancel
	doRetryNow
	doRetry
	doNudge
	doPause
	doResume
	doPrune
	doExplain
	doUserStop
	doUserStart
	doKill
	doReopen
	doRerun
	doSleep
	doClock // the wall clock is set wrong for a while
)

// simDraws returns the random numbers for a seed and the names of a thing.
func simDraws(seed uint64, names ...any) *rand.Rand {
	h := fnv.New64a()
	var b [8]byte
	for _, n := range names {
		switch n := n.(type) {
		case string:
			h.Write([]byte(n))
		case int:
			binary.LittleEndian.PutUint64(b[:], uint64(n))
			h.Write(b[:])
		case engine.Ref:
			h.Write([]byte(n.StudioID))
			h.Write([]byte(n.SessionID))
		default:
			panic(fmt.Sprintf("a %T names nothing", n))
		}
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// between draws a duration; each order of magnitude is equally likely.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), r.Float64()))
}

// simLength is how long a day is.
const simLength = 24 * time.Hour

// drawDay writes the script.
func drawDay(seed uint64) *simDay {
	d := &simDay{seed: seed}
	r := simDraws(seed, "day")
	d.keepEvents = []int{0, 0, 300}[r.IntN(3)]
	for i, traits := range []transport.Traits{
		{Repeat: transport.RepeatByToken, TokenMemory: 100 * 24 * time.Hour, StaleFor: time.Second, MaxBatch: 100},
		{Repeat: transport.RepeatByToken, TokenMemory: 100 * 24 * time.Hour, MaxBatch: 20, MaxStarts: 20},
		{Repeat: transport.RepeatByToken, TokenMemory: between(r, time.Minute, 4*time.Hour), StaleFor: between(r, time.Second, time.Minute)},
		{Repeat: transport.RepeatByState, StaleFor: between(r, time.Millisecond, 45*time.Second), MaxBatch: 50},
		{Repeat: transport.RepeatNever},
	} {
		d.lanes = append(d.lanes, drawLane(r, i, traits))
	}
	d.drawAsks(r)
	d.drawHost(r)
	d.drawUser(r)
	slices.SortStableFunc(d.acts, func(a, b simAct) int { return cmp.Compare(a.at, b.at) })
	return d
}

func drawLane(r *rand.Rand, i int, traits transport.Traits) simLane {
	l := simLane{
		name: fmt.Sprintf("studio-%d", i), traits: traits, sessions: 12,
		cfg:       engine.LaneConfig{Concurrency: 1 + r.IntN(8), Rate: float64(2 + r.IntN(20))},
		lossy:     []float64{0, 0.03, 0.15}[r.IntN(3)],
		tellsDate: r.IntN(5) > 0,
		skew:      time.Duration(r.IntN(60)-30) * time.Second,
	}
	for at := between(r, time.Minute, 6*time.Hour); at < simLength-time.Hour; {
		w := drawWeather(r, at)
		l.weather = append(l.weather, w)
		at = w.to + between(r, 5*time.Minute, 6*time.Hour)
	}
	if i > 1 && r.IntN(8) == 0 {
		l.doomed = true
		kinds := []simKind{offline, silence, internal5xx, credentialsExpired, looksDenied}
		l.weather = append(l.weather, simWeather{kind: kinds[r.IntN(len(kinds))], from: simLength - time.Hour, to: 1000 * time.Hour})
	}
	if i < 2 { // the steadfast are here
		l.weather = slices.DeleteFunc(l.weather, func(w simWeather) bool { return w.kind == startsDenied })
	}
	return l
}

func drawWeather(r *rand.Rand, at time.Duration) simWeather {
	w := simWeather{kind: offline + simKind(r.IntN(int(simKinds-offline))), from: at}
	most := 3 * time.Hour
	if w.kind == startsDenied {
		most = 10 * time.Minute
	}
	w.to = at + between(r, 20*time.Second, most)
	w.retryAfter = []time.Duration{0, 0, time.Second, 40 * time.Second, 10 * time.Minute, 30 * 24 * time.Hour, math.MaxInt64}[r.IntN(7)]
	return w
}

// drawAsks draws the requests and their times.
func (d *simDay) drawAsks(r *rand.Rand) {
	ask := func(lane, session int, steadfast bool) int {
		a := simAsk{ref: engine.Ref{StudioID: d.lanes[lane].name, SessionID: fmt.Sprintf("ws-%d", session)}, steadfast: steadfast}
		if r.IntN(2) == 0 {
			a.token = fmt.Sprintf("token-%d", len(d.asks))
		}
		if r.IntN(8) == 0 {
			a.after = between(r, time.Minute, 6*time.Hour)
		}
		switch {
		case steadfast:
			a.expiry = 72 * time.Hour
		case r.IntN(5) == 0:
			a.expiry = a.after + between(r, time.Minute, 4*time.Hour)
		}
		d.asks = append(d.asks, a)
		return len(d.asks) - 1
	}
	when := func() time.Duration { return time.Duration(r.Int64N(int64(simLength))) }
	for lane := range d.lanes {
		for range 25 {
			d.act(when(), doStart, ask(lane, r.IntN(d.lanes[lane].sessions), false))
		}
		for range 2 { // a studio's morning: one call for many
			first := len(d.asks)
			for s := range d.lanes[lane].sessions {
				ask(lane, s, false)
			}
			d.acts = append(d.acts, simAct{at: when(), do: doStartMany, n: first, m: len(d.asks) - first})
		}
	}
	for i := range 60 { // one request each, for a session of its own
		d.act(when(), doStart, ask(i%2, 1000+i, true))
	}
}

func (d *simDay) act(at time.Duration, do simVerb, n int) {
	d.acts = append(d.acts, simAct{at: at, do: do, n: n})
}

// drawHost draws what happens to the host and what it does.
func (d *simDay) drawHost(r *rand.Rand) {
	when := func() time.Duration { return time.Duration(r.Int64N(int64(simLength))) }
	of := func(do simVerb, least, most int, n func() int) {
		for range least + r.IntN(most-least+1) {
			d.act(when(), do, n())
		}
	}
	lane := func() int { return r.IntN(len(d.lanes)) }
	asked := func() int { // a request that may be disturbed
		for {
			if n := r.IntN(len(d.asks)); !d.asks[n].steadfast {
				return n
			}
		}
	}
	soon := func(do simVerb, k int) { // about a recent request
		for _, a := range slices.Clone(d.acts) {
			if a.do == doStart && !d.asks[a.n].steadfast && r.IntN(k) == 0 {
				d.act(a.at+between(r, time.Millisecond, 30*time.Minute), do, a.n)
			}
		}
	}
	soon(doCancel, 8)
	soon(doRetryNow, 10)
	soon(doRepeat, 6)
	soon(doJoin, 6)
	of(doRepeat, 5, 10, asked)
	of(doRetry, 2, 10, asked)
	of(doNudge, 0, 5, lane)
	of(doPrune, 0, 3, lane)
	of(doExplain, 12, 12, lane)
	for range r.IntN(4) {
		at, n := when(), lane()
		d.act(at, doPause, n)
		d.act(at+between(r, time.Minute, 5*time.Hour), doResume, n)
	}
	for range 4 + r.IntN(6) {
		d.acts = append(d.acts, simAct{at: when(), do: doKill, by: simPoint(r.IntN(int(simPoints))), span: between(r, time.Second, 2*time.Hour)})
	}
	for range r.IntN(3) {
		d.acts = append(d.acts, simAct{at: when(), do: doReopen, span: between(r, time.Second, time.Hour)})
	}
	of(doRerun, 0, 2, lane)
	for range r.IntN(3) {
		d.acts = append(d.acts, simAct{at: when(), do: doSleep, span: between(r, time.Minute, 8*time.Hour)})
	}
	for range r.IntN(2) {
		d.acts = append(d.acts, simAct{at: when(), do: doClock, span: wrongBy(r)})
	}
}

// wrongBy is by how much a wall clock is wrong.
func wrongBy(r *rand.Rand) time.Duration {
	const year = 365 * 24 * time.Hour
	return []time.Duration{
		between(r, year, 30*year), between(r, time.Minute, 3*24*time.Hour), -between(r, time.Minute, 3*24*time.Hour), -between(r, year, 30*year),
	}[r.IntN(4)]
}

// drawUser draws which sessions are stopped and started by hand.
func (d *simDay) drawUser(r *rand.Rand) {
	for i := range d.lanes {
		for range 30 {
			at := time.Duration(r.Int64N(int64(simLength)))
			d.acts = append(d.acts, simAct{at: at, do: doUserStop + simVerb(r.IntN(2)), n: i, m: r.IntN(d.lanes[i].sessions)})
		}
	}
	for _, a := range slices.Clone(d.acts) { // also right after the request
		if a.do != doStart || d.asks[a.n].steadfast || r.IntN(5) > 0 {
			continue
		}
		for i := range d.lanes {
			if s := 0; d.lanes[i].name == d.asks[a.n].ref.StudioID {
				fmt.Sscanf(d.asks[a.n].ref.SessionID, "ws-%d", &s)
				d.acts = append(d.acts, simAct{at: a.at + between(r, time.Second, 3*time.Minute), do: doUserStop, n: i, m: s})
			}
		}
	}
}

// simFate is what happens to one call on its way.
type simFate struct {
	out, back  time.Duration // on the way there, and back
	drop, lose bool          // the request; the answer
	twin       time.Duration // how much later a second copy of the request arrives; 0: none
	orphan     bool          // it arrives even if the host dies meanwhile
	fails      simKind       // this call alone meets this weather
	past       float64       // how far into the past a look sees, of StaleFor
	late       bool          // failures come after the effect
}

// fate draws what happens to the nth call of a kind to a session.
func (d *simDay) fate(l *simLane, what string, ref engine.Ref, nth int, w simKind) simFate {
	r := simDraws(d.seed, what, ref, nth)
	f := simFate{
		out: between(r, time.Millisecond, 300*time.Millisecond), back: between(r, time.Millisecond, 300*time.Millisecond),
		orphan: r.IntN(3) > 0, late: r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		f.past = r.Float64()
	}
	chance := l.lossy
	if w == lossy {
		chance = 0.6
	}
	if r.Float64() >= chance {
		return f
	}
	switch r.IntN(10) {
	case 0:
		f.drop = true
	case 1, 2:
		f.lose = true
	case 3:
		f.twin = between(r, time.Millisecond, 14*time.Second)
	case 4:
		f.out = between(r, time.Second, 14*time.Second)
	case 5:
		f.back = between(r, time.Second, 20*time.Second)
	case 6: // longer than the request's time-out
		if r.IntN(3) == 0 {
			f.out = between(r, 16*time.Second, 5*time.Minute)
		} else {
			f.lose, f.twin = true, between(r, time.Second, 14*time.Second)
		}
	case 7:
		f.fails = internal5xx
	case 8:
		f.fails = conflicting
	case 9:
		f.fails = throttling
	}
	return f
}
