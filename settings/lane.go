package settings

import (
	"strings"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
)

// Lane limits the calls of the lanes that its name matches.
type Lane struct {
	// Name is a lane's name, or a prefix of names and "*". The longest match wins, as for
	// studios.
	Name string
	engine.LaneConfig
}

func readLanes(t *table, s *Settings) {
	for name, sub := range t.tables("lane", "a table for each lane, as [lane.lab]") {
		lane := Lane{Name: name, LaneConfig: engine.LaneConfig{Concurrency: sub.count("concurrency"), Rate: sub.number("rate")}}
		sub.end()
		switch {
		case checkPattern(name) != "":
			t.fault(display(sub.path...), "%s", checkPattern(name))
		case len(sub.values) == 0:
			t.fault(display(sub.path...), "it has no keys; give concurrency, rate or both")
		case !s.hasLane(name):
			t.fault(display(sub.path...), "no studio has this lane; a lane is a studio's id, or the value of its key lane%s", suggestion(name, s.laneNames()))
		}
		s.Lanes = append(s.Lanes, lane)
	}
}

// laneNames returns the lanes of studios, or the patterns of their lanes.
func (s *Settings) laneNames() []string {
	names := make([]string, len(s.Studios))
	for i, one := range s.Studios {
		if names[i] = one.Lane; one.Lane == "" {
			names[i] = one.Pattern
		}
	}
	return names
}

func (s *Settings) hasLane(name string) bool {
	for _, have := range s.laneNames() {
		if overlap(name, have) {
			return true
		}
	}
	return false
}

// overlap reports whether some name matches both patterns.
func overlap(a, b string) bool {
	a, openA := strings.CutSuffix(a, "*")
	b, openB := strings.CutSuffix(b, "*")
	switch {
	case openA && openB:
		return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
	case openA:
		return strings.HasPrefix(b, a)
	case openB:
		return strings.HasPrefix(a, b)
	}
	return a == b
}

// checkPattern returns what is wrong with an id, or a prefix of ids and "*", or "".
func checkPattern(pattern string) string {
	prefix, open := strings.CutSuffix(pattern, "*")
	if open && prefix == "" {
		return ""
	}
	if strings.Contains(prefix, "*") {
		return `"*" is allowed at the end only`
	}
	if err := transport.CheckID("id", prefix); err != nil {
		return messageOf(err)
	}
	return ""
}

// longest returns what matches a name: the name itself, or else its longest prefix.
func longest[T any](all []T, pattern func(T) string, name string) (found T, ok bool) {
	most := -1
	for _, one := range all {
		p := pattern(one)
		prefix, open := strings.CutSuffix(p, "*")
		switch {
		case p == name:
			return one, true
		case open && len(prefix) > most && strings.HasPrefix(name, prefix):
			found, ok, most = one, true, len(prefix)
		}
	}
	return found, ok
}
