package settings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// MaxSize is how large a file may be, in bytes.
const MaxSize = 1 << 20

// Settings is the checked content of a file. To change it, change the file. It is safe
// for concurrent use.
type Settings struct {
	// File is the name of the file; "" for [Single].
	File string
	// Studios say which transport serves which studio, in the order of the file. There is
	// at least one.
	Studios []Studio
	// Lanes limit the calls of lanes, in the order of the file.
	Lanes []Lane
	// Hooks get reports of ended operations and blocked lanes. They are in the order of
	// the file.
	Hooks []Hook
	// Expiry, BootTimeout and Timeout are for engine.Config. Zero means its default.
	Expiry, BootTimeout, Timeout time.Duration
	// DefaultStudio is the studio of sessions that a tool's user names without one; "" if
	// there is none.
	DefaultStudio string
	// StoreSize is how large the database may become, in bytes, for bolt.Config.MaxSize.
	// Zero means as large as its disk allows.
	StoreSize int64
	// Serve is how a server listens on TCP.
	Serve Serve

	lines  map[string]int
	values map[string]any    // as the file has them; nil for Single
	flags  map[string]string // of Single: see table
}

// Studio is one studio, or all studios that a pattern matches, and the transport that
// serves it.
type Studio struct {
	// Pattern is a studio's id, or a prefix of ids and "*". The longest match wins, as in
	// transport.Mux.
	Pattern string
	// Transport is the kind: one of [Transports].
	Transport string
	// Where says, for a person, what the transport talks to.
	Where string
	// Probe must answer before a session is READY. The zero value means no probe.
	Probe probe.Probe
	// Lane is the lane of all its sessions. The empty string means the studio's id.
	Lane string

	path   string // the settings of its table
	driver driver
}

// driver has the settings of a studio's table for one kind of transport.
type driver interface {
	where() string
	// open makes the transport and reports mistakes. It does no I/O on a network.
	open(ctx context.Context, o *opening) transport.Transport
}

// drivers read a studio's table, each for one kind of transport. The probe is read
// before.
var drivers = map[string]func(t *table, p probe.Probe) driver{
	"nimble":  readNimble,
	"ec2":     readEC2,
	"wol":     readWoL,
	"exec":    readExec,
	"libvirt": readLibvirt,
}

// Transports returns the kinds of transport that settings can name, in alphabetical
// order.
func Transports() []string {
	var names []string
	for name := range drivers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Load reads and checks a file. It opens no driver, no AWS settings and no environment.
// An error of its content is [Errors], with all mistakes. Any other error says that it
// cannot be read.
func Load(path string) (*Settings, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return Parse(path, text)
}

// Parse is [Load] for a text that was already read. Errors show name as the file's name.
func Parse(name string, text []byte) (*Settings, error) {
	r := &report{file: name, lines: map[string]int{}}
	if len(text) > MaxSize {
		r.fault("", "it has more than %d bytes", MaxSize)
		return nil, r.err()
	}
	s := &Settings{File: name, lines: r.lines}
	if s.values = parse(text, r); r.err() == nil {
		read(&table{report: r, values: s.values}, s)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return s, nil
}

func read(t *table, s *Settings) {
	e := t.one("engine")
	s.Expiry, s.BootTimeout, s.Timeout = e.duration("expiry"), e.duration("boot_timeout"), e.duration("timeout")
	e.end()
	t.call = cmp.Or(s.Timeout, engine.DefaultTimeout)
	db := t.one("store")
	s.StoreSize = int64(db.count("max_mib")) << 20
	db.end()
	s.Serve = readServe(t.one("serve"))
	for pattern, sub := range t.tables("studio", `a table for each studio, as [studio.lab]`) {
		if wrong := checkPattern(pattern); wrong != "" {
			t.fault(display(sub.path...), "%s", wrong)
		}
		s.Studios = append(s.Studios, readStudio(sub, pattern))
	}
	if len(s.Studios) == 0 && len(t.faults) == 0 {
		t.fault("", "there is no studio; begin with [studio.NAME], where NAME is a studio's id, and transport = one of %s", orList(Transports()))
	}
	readLanes(t, s)
	readHooks(t, s)
	readDefaultStudio(t, s)
	t.known = slices.Compact(t.known)
	t.end()
}

func readDefaultStudio(t *table, s *Settings) {
	s.DefaultStudio = t.text("default_studio")
	if s.DefaultStudio == "" {
		return
	}
	if err := transport.CheckID("id", s.DefaultStudio); err != nil {
		t.wrong("default_studio", "%s", messageOf(err))
	} else if _, ok := s.Find(s.DefaultStudio); !ok {
		t.wrong("default_studio", "no [studio.NAME] serves %q", s.DefaultStudio)
	}
}

func readStudio(t *table, pattern string) Studio {
	s := Studio{Pattern: pattern, path: display(t.path...), Transport: t.choice("transport", Transports()...), Lane: t.text("lane")}
	t.required("transport", "one of "+orList(Transports()))
	if s.Lane != "" {
		if err := transport.CheckID("id", s.Lane); err != nil {
			t.wrong("lane", "%s", messageOf(err))
		}
	}
	readDriver, ok := drivers[s.Transport]
	if !ok {
		return s // without a known transport the other keys cannot be checked
	}
	if s.Transport != "nimble" { // a nimble provider's READY is its own
		s.Probe = t.probe()
	}
	s.driver = readDriver(t, s.Probe)
	s.Where = s.driver.where()
	t.end()
	return s
}

// Find returns the studio of the settings that serves a studio's id, with its Lane filled
// in. It returns false if none does.
func (s *Settings) Find(studioID string) (Studio, bool) {
	found, ok := longest(s.Studios, func(one Studio) string { return one.Pattern }, studioID)
	if found.Lane == "" {
		found.Lane = studioID
	}
	return found, ok
}

// StudioIDs returns the ids of the studios that the settings name; a pattern is none.
func (s *Settings) StudioIDs() []string {
	var out []string
	if s.DefaultStudio != "" {
		out = append(out, s.DefaultStudio)
	}
	for _, one := range s.Studios {
		if !strings.HasSuffix(one.Pattern, "*") && one.Pattern != s.DefaultStudio {
			out = append(out, one.Pattern)
		}
	}
	return out
}

// SessionIDs returns the ids of a studio's sessions that the settings name, which are the
// machines of wol. It reads no other file.
func (s *Settings) SessionIDs(studioID string) []string {
	one, ok := s.Find(studioID)
	if d, isWoL := one.driver.(*wolDriver); ok && isWoL {
		return slices.Sorted(maps.Keys(d.shelf))
	}
	return nil
}

// CheckStart returns the error with which the studio's transport would refuse in before
// it sends anything, or nil. It works as transport.CheckStart does, without opening the
// transport.
func (s *Settings) CheckStart(in transport.StartInput) error {
	if one, ok := s.Find(in.StudioID); ok {
		if c, ok := one.driver.(startChecker); ok {
			return c.checkStart(in)
		}
	}
	return in.Validate()
}

// startChecker is a driver whose transport is a transport.StartChecker.
type startChecker interface {
	checkStart(in transport.StartInput) error
}

// Engine returns an engine's Config with Expiry, BootTimeout, Timeout and Lane of the
// settings. The host fills in the other fields.
func (s *Settings) Engine() engine.Config {
	return engine.Config{
		Expiry: s.Expiry, BootTimeout: s.BootTimeout, Timeout: s.Timeout,
		Lane: func(name string) engine.LaneConfig {
			lane, _ := longest(s.Lanes, func(l Lane) string { return l.Name }, name)
			return lane.LaneConfig
		},
	}
}

// orList returns "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// messageOf returns the text of an error of the port without its kind.
func messageOf(err error) string {
	var e *transport.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
