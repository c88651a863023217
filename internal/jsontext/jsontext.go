// Package jsontext writes the JSON objects of the wire form. It exists because
// json.Marshal escapes "<", ">" and "&", which people read in error texts, and
// because the objects of one type often extend those of another.
package jsontext

import (
	"bytes"
	"encoding/json"
)

// Marshal is json.Marshal without the escapes for HTML. A caller that puts the result
// into another document must escape it there.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Object returns one JSON object with the members of all the given values, in order.
// Each of them must marshal to an object, and no two of them may have a member of
// the same name.
func Object(parts ...any) ([]byte, error) {
	out := []byte("{")
	for _, part := range parts {
		text, err := Marshal(part)
		if err != nil {
			return nil, err
		}
		members := bytes.TrimSpace(text)
		members = members[1 : len(members)-1]
		if len(out) > 1 && len(members) > 0 {
			out = append(out, ',')
		}
		out = append(out, members...)
	}
	return append(out, '}'), nil
}
