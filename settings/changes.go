package settings

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Change is one key about which two settings differ.
type Change struct {
	Key string // as studio.lab.probe; its first part is the name of the file's table
	// Line is the key's line in the newer file, from 1. Zero means that the newer file
	// does not have the key.
	Line int
	// Was and Is are the values in the older and the newer settings, for a person. "" means
	// that the key is not there. What may be a secret in a URL is left out: its user, its
	// path and its query.
	Was, Is string
}

// Changes returns the keys about which newer differs from s. The keys of newer come
// first, in the order of its file, then the keys that it does not have. Order, comments
// and spelling are no difference. Settings of [Single] have no keys.
func (s *Settings) Changes(newer *Settings) []Change {
	before, after := flatten(nil, nil, s.values), flatten(nil, nil, newer.values)
	var all []Change
	for key, is := range after {
		if was, there := before[key]; !there || !reflect.DeepEqual(was, is) {
			all = append(all, Change{Key: key, Line: newer.lines[key], Was: valueText(was), Is: valueText(is)})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key)) })
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, there := after[key]; !there {
			all = append(all, Change{Key: key, Was: valueText(before[key])})
		}
	}
	return all
}

// flatten adds the values below a table to out, by the path of their keys.
func flatten(out map[string]any, path []string, values map[string]any) map[string]any {
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range values {
		at := slices.Concat(path, []string{key})
		if table, ok := value.(map[string]any); ok {
			flatten(out, at, table)
			continue
		}
		out[display(at...)] = value
	}
	return out
}

// urlRest is what a URL has after its scheme, except its host: group 1 is the host.
var urlRest = regexp.MustCompile(`://(?:[^/\s"@]*@)?([^/\s"@?#]+)[/?#]?[^\s"]*`)

// valueText is a value as TOML writes it, without what a URL may hide.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return strconv.Quote(urlRest.ReplaceAllStringFunc(v, func(url string) string {
			host := urlRest.FindStringSubmatch(url)[1]
			if url == "://"+host {
				return url
			}
			return "://" + host + "/…"
		}))
	case []any:
		texts := make([]string, len(v))
		for i, one := range v {
			texts[i] = valueText(one)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return fmt.Sprint(value)
}
