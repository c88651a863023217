package engine

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
)

// SetWall replaces an engine's wall clock by one that a test makes jump. Call it before
// Run.
func (e *Engine) SetWall(wall func() time.Time) { e.wall = wall }

// SetUptime replaces an engine's clocks that cannot be set. Call it before Start and Run.
func (e *Engine) SetUptime(up func() uptime.Reading) { e.up = up }

// SetEarliest sets the time before which an engine takes a time for impossible.
func (e *Engine) SetEarliest(t time.Time) { e.earliest = t }
