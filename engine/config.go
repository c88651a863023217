package engine

import (
	"fmt"
	"log/slog"
	"time"
)

// DefaultTimeout is the default of [Config].Timeout. A provider that works answers sooner,
// and calls that hang do not occupy a lane for long.
const DefaultTimeout = 15 * time.Second

// Config configures an engine. The zero value works.
type Config struct {
	// Expiry is how long a start may wait before its first send if the request has no
	// ExpiresAt. It counts from the later of creation and not-before. Defaults to 24
	// hours.
	Expiry time.Duration
	// BootTimeout is how long a session may take from the accepted start to READY.
	// Defaults to 30 minutes, as the service's own waiter does.
	BootTimeout time.Duration
	// Timeout bounds one call of the transport. Defaults to [DefaultTimeout], 15 seconds.
	Timeout time.Duration
	// Drain is how long Run waits at its end for calls in flight before it cancels
	// them. Defaults to 10 seconds.
	Drain time.Duration
	// Keep is how long an ended operation and its client token are remembered.
	// Afterwards, Prune removes both, and the token starts the session again.
	// Defaults to 30 days.
	Keep time.Duration
	// KeepEvents is how many events the feed holds at least. Defaults to
	// 1,000,000.
	KeepEvents int
	// Source is the kind of program that asks, if a Request does not say it: "cli" or
	// "console", for example. Defaults to "api".
	Source string
	// Lane returns the configuration of the lane of that name. It must be quick and always
	// return the same. A zero field means its default. Nil means the defaults for all
	// lanes.
	Lane func(name string) LaneConfig
	// Logger gets one line for each change of an operation's phase and of a lane's
	// state. Nil means no log.
	Logger *slog.Logger
}

// LaneConfig bounds the calls that one lane makes to its provider.
//
// All calls of a lane count: sends, reads and polls. A lane begins at an eighth of
// its Rate, at least at one call a second, and doubles that each second while answers
// come. Once it has reached its Rate this is stored, and each later Run begins at
// the full Rate. A provider that throttles slows the lane down, and for 24 hours
// a new Run begins at an eighth again.
//
// Up to half of the calls are polls of sessions that boot. With the default Rate of 10
// and a provider without batches, the last of 300 starts is accepted after a minute. The
// slow beginning takes a second or two of that. Set a higher Rate for a provider that
// accepts more calls.
type LaneConfig struct {
	// Concurrency is how many calls may be in flight. Defaults to 8.
	Concurrency int
	// Rate is the highest number of calls a second. Defaults to 10. More than 1e9, or
	// math.Inf(1), counts as 1e9.
	Rate float64
}

func (c Config) withDefaults() Config {
	setDefault(&c.Expiry, 24*time.Hour)
	setDefault(&c.BootTimeout, 30*time.Minute)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.Drain, 10*time.Second)
	setDefault(&c.Keep, 30*24*time.Hour)
	setDefault(&c.KeepEvents, 1_000_000)
	setDefault(&c.Source, "api")
	if c.Lane == nil {
		c.Lane = func(string) LaneConfig { return LaneConfig{} }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"Expiry", c.Expiry}, {"BootTimeout", c.BootTimeout}, {"Timeout", c.Timeout}, {"Drain", c.Drain}, {"Keep", c.Keep},
	} {
		if d.value < 0 {
			return fmt.Errorf("engine: Config.%s is %v: it must not be negative", d.name, d.value)
		}
	}
	if c.KeepEvents < 0 {
		return fmt.Errorf("engine: Config.KeepEvents is %d: it must not be negative", c.KeepEvents)
	}
	return checkText("Config.Source", c.Source, maxName)
}

func (c LaneConfig) withDefaults() LaneConfig {
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if !(c.Rate > 0) { // also for NaN
		c.Rate = 10
	}
	c.Rate = min(c.Rate, 1e9) // an infinite rate breaks the arithmetic
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
