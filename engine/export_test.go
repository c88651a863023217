package engine

import (
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
)

// SetWall gives an engine another wall clock, which a test makes jump. It is
// called before Run.
func (e *Engine) SetWall(wall func() time.Time) { e.wall = wall }

// SetUptime gives an engine other clocks that cannot be set. It is called before
// Start and Run.
func (e *Engine) SetUptime(up func() uptime.Reading) { e.up = up }

// SetEarliest says which times an engine takes for impossible: those before t.
func (e *Engine) SetEarliest(t time.Time) { e.earliest = t }
