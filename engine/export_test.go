package engine

import "time"

// SetWall gives an engine another wall clock, which a test makes jump. It is
// called before Run.
func (e *Engine) SetWall(wall func() time.Time) { e.wall = wall }
