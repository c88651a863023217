package settings

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parse reads TOML: its values, and into r the line of each key. The library decides what
// is TOML. Its parser runs a second time only for the lines, because it names them only
// in its own errors.
func parse(text []byte, r *report) map[string]any {
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		r.faults = append(r.faults, syntaxError(r.file, err))
		return nil
	}
	walk := lineWalk{text: text, line: 1, lines: r.lines}
	walk.parser.Reset(text)
	var table []string
	for walk.parser.NextExpression() {
		switch e := walk.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = walk.keys(nil, e)
		default:
			walk.keyValue(table, e)
		}
	}
	return values
}

func syntaxError(file string, err error) *Error {
	e := &Error{File: file, Message: strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		e.Line, _ = at.Position()
		e.Key = display(at.Key()...)
	}
	return e
}

// lineWalk records the first line of each key.
type lineWalk struct {
	parser unstable.Parser
	text   []byte
	lines  map[string]int

	offset uint32 // line is the line of offset; keys come in the order of the text
	line   int
}

func (w *lineWalk) keyValue(within []string, e *unstable.Node) {
	if e.Kind != unstable.KeyValue {
		return
	}
	path := w.keys(within, e)
	if e.Value().Kind != unstable.InlineTable {
		return
	}
	for it := e.Value().Children(); it.Next(); {
		w.keyValue(path, it.Node())
	}
}

// keys returns the path of an expression's key, and records its parts.
func (w *lineWalk) keys(within []string, e *unstable.Node) []string {
	path := within[:len(within):len(within)]
	for it := e.Key(); it.Next(); {
		key := it.Node()
		if at := key.Raw.Offset; at > w.offset {
			w.line += bytes.Count(w.text[w.offset:at], []byte("\n"))
			w.offset = at
		}
		path = append(path, string(key.Data))
		if name := display(path...); w.lines[name] == 0 {
			w.lines[name] = w.line
		}
	}
	return path
}

// display returns a path of keys as TOML writes it.
func display(path ...string) string {
	parts := make([]string, len(path))
	for i, key := range path {
		if parts[i] = key; key == "" || strings.Trim(key, bare) != "" {
			parts[i] = strconv.Quote(key)
		}
	}
	return strings.Join(parts, ".")
}

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
	bare    = letters + digits + "_-" // a key that needs no quotes
)
