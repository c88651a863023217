package settings

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/civil"
	"github.com/rouse-dev/rouse/transport/probe"
)

// table is one table of the file while it is read. Each method reads a key. It returns
// the zero value if the key is absent or wrong, and reports a wrong one. The method end
// reports every key that no method has read.
type table struct {
	*report
	path   []string
	values map[string]any
	known  []string
	flags  map[string]string // by key, the flag that sets it; nil for a table of a file
}

// name returns a key as errors show it.
func (t *table) name(key string) string {
	if t.flags != nil {
		return "--" + cmp.Or(t.flags[key], key)
	}
	return display(append(t.path[:len(t.path):len(t.path)], key)...)
}

// wrong reports a mistake in a key, which may be absent.
func (t *table) wrong(key, format string, args ...any) {
	name := t.name(key)
	if t.lines[name] == 0 && t.flags == nil {
		t.faultAt(t.lines[display(t.path...)], name, format, args...)
		return
	}
	t.fault(name, format, args...)
}

func (t *table) has(key string) bool { return t.values[key] != nil }

// required reports that a key is missing.
func (t *table) required(key, what string) {
	if t.has(key) {
		return
	}
	if t.flags != nil {
		t.wrong(key, "it is required: %s", what)
		return
	}
	t.fault(display(t.path...), "%s is required: %s", key, what)
}

// ask returns the value of a key if it is a T.
func ask[T any](t *table, key, want string) (value T, ok bool) {
	t.known = append(t.known, key)
	raw, there := t.values[key]
	if !there {
		return value, false
	}
	if value, ok = raw.(T); !ok {
		t.wrong(key, "want %s, not %s", want, kindOf(raw))
	}
	return value, ok
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

// text reads a text that is not empty.
func (t *table) text(key string) string { return t.quoted(key, "a text in quotes") }

func (t *table) quoted(key, want string) string {
	text, ok := ask[string](t, key, want)
	switch {
	case !ok, !t.harmless(key, text):
		return ""
	case strings.TrimSpace(text) == "":
		t.wrong(key, "it is empty; give a value, or remove the key to use the default")
	}
	return text
}

// choice reads one of some words. It returns "" if the key is absent or wrong.
func (t *table) choice(key string, words ...string) string {
	text := t.text(key)
	if text == "" || slices.Contains(words, text) {
		return text
	}
	t.wrong(key, "%.64q is none of %s%s", text, strings.Join(words, ", "), suggestion(text, words))
	return ""
}

func (t *table) yes(key string) bool {
	value, _ := ask[bool](t, key, "true or false")
	return value
}

func (t *table) duration(key string) time.Duration {
	const want = `a duration in quotes, as "30s", "1h30m" or "2d"`
	text := t.quoted(key, want)
	if text == "" {
		return 0
	}
	d, err := civil.ParseDuration(text)
	switch {
	case err != nil:
		t.wrong(key, "%.64q: want %s", text, want)
	case d <= 0:
		t.wrong(key, "%q: want a duration longer than zero", text)
	default:
		return d
	}
	return 0
}

// count reads a whole number from 1.
func (t *table) count(key string) int {
	n, ok := ask[int64](t, key, "a whole number")
	if ok && (n < 1 || n > 1<<20) {
		t.wrong(key, "%d: want 1 to %d", n, 1<<20)
		return 0
	}
	return int(n)
}

// number reads a number that is more than zero.
func (t *table) number(key string) float64 {
	if whole, ok := t.values[key].(int64); ok {
		t.known = append(t.known, key)
		return t.positive(key, float64(whole))
	}
	n, ok := ask[float64](t, key, "a number")
	if !ok {
		return 0
	}
	return t.positive(key, n)
}

func (t *table) positive(key string, n float64) float64 {
	if !(n > 0 && n <= 1e6) { // so that NaN is refused too
		t.wrong(key, "%v: want more than 0, and at most 1000000", n)
		return 0
	}
	return n
}

// texts reads an array of texts.
func (t *table) texts(key string) []string {
	const want = `an array of texts, as ["a", "b"]`
	values, ok := ask[[]any](t, key, want)
	if !ok {
		return nil
	}
	var texts []string
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			t.wrong(key, "want %s, and one of them is %s", want, kindOf(value))
			return nil
		}
		if !t.harmless(key, text) {
			return nil
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		t.wrong(key, "it is empty; give a value, or remove the key to use the default")
	}
	return texts
}

// pairs reads a table of texts, and calls check for each.
func (t *table) pairs(key string, check func(sub *table, name string)) map[string]string {
	_, ok := ask[map[string]any](t, key, `a table of texts, as { a = "b" }`)
	if !ok {
		return nil
	}
	sub := t.sub(key)
	out := map[string]string{}
	for _, name := range sub.names() {
		check(sub, name)
		text, ok := ask[string](sub, name, "a text in quotes")
		if ok && sub.harmless(name, text) {
			out[name] = text
		}
	}
	return out
}

// sub returns the table at a key, or an empty one.
func (t *table) sub(key string) *table {
	values, _ := t.values[key].(map[string]any)
	return &table{report: t.report, path: append(t.path[:len(t.path):len(t.path)], key), values: values}
}

// one reads the table at a key that may be absent. It returns an empty one if it is.
func (t *table) one(key string) *table {
	ask[map[string]any](t, key, "a table, as ["+key+"]")
	return t.sub(key)
}

// tables reads the tables in the table at a key, by name, in the order of the file.
func (t *table) tables(key, want string) iter.Seq2[string, *table] {
	return func(yield func(string, *table) bool) {
		if _, ok := ask[map[string]any](t, key, want); !ok {
			return
		}
		sub := t.sub(key)
		for _, name := range sub.names() {
			if _, ok := ask[map[string]any](sub, name, want); ok && !yield(name, sub.sub(name)) {
				return
			}
		}
	}
}

// names returns the keys, in the order of the file.
func (t *table) names() []string {
	var names []string
	for name := range t.values {
		names = append(names, name)
	}
	slices.Sort(names)
	sort.SliceStable(names, func(i, j int) bool { return t.lines[t.name(names[i])] < t.lines[t.name(names[j])] })
	return names
}

// probe reads the keys of a probe.
func (t *table) probe() probe.Probe {
	text, timeout, argv := t.text("probe"), t.duration("probe_timeout"), t.texts("probe_command")
	p, err := probe.Parse(text)
	switch {
	case err != nil:
		t.wrong("probe", "%s", cutPrefix(err, "probe "))
		return probe.Probe{}
	case p.Kind == probe.KindNone && argv != nil:
		t.wrong("probe_command", "it needs probe, which is not set: the command runs once the port answers")
	case p.Kind == probe.KindNone && timeout > 0:
		t.wrong("probe_timeout", "it needs probe, which is not set")
	case p.Kind != probe.KindNone:
		p.Timeout = timeout
		if argv != nil {
			p.Command = &probe.Command{Args: argv, Secrets: secretEnv(t)}
			if err := p.Validate(); err != nil {
				t.wrong("probe_command", "%s", cutPrefix(err, "probe: "))
			}
		}
		key, waits := "probe_timeout", timeout
		if timeout == 0 {
			key, waits = "probe", probe.DefaultTimeout
		}
		if t.call > 0 && waits >= t.call {
			t.wrong(key, "it waits up to %v, but engine.timeout ends a call after %v; choose a shorter probe_timeout or a longer engine.timeout", waits, t.call)
		}
	}
	return p
}

// renamed has the new names of keys that older versions had.
var renamed = map[string]string{"engine.budget": "boot_timeout"}

// end reports the keys that no method has read.
func (t *table) end() {
	for _, key := range t.names() {
		switch {
		case slices.Contains(t.known, key):
		case t.flags != nil:
			t.wrong(key, "it does not go with --transport %s", t.values["transport"])
		case renamed[t.name(key)] != "":
			t.wrong(key, "this key has a new name; write %s", renamed[t.name(key)])
		case secretName(key):
			t.wrong(key, "%s", noSecrets)
		default:
			t.wrong(key, "unknown key%s; known are %s", suggestion(key, t.known), strings.Join(t.known, ", "))
		}
	}
}

// cutPrefix returns an error's text without a prefix that repeats the key.
func cutPrefix(err error, prefix string) string { return strings.TrimPrefix(err.Error(), prefix) }
