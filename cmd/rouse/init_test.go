package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

// TestStarters: every kind of transport has a file to begin with. It is right as it is, and
// with all of its options.
func TestStarters(t *testing.T) {
	t.Parallel()
	var named []string
	for _, k := range kinds {
		named = append(named, k[0])
	}
	slices.Sort(named)
	if want := settings.Transports(); !slices.Equal(named, want) {
		t.Errorf("init lists %v, and settings know %v", named, want)
	}
	option := regexp.MustCompile(`(?m)^#(\[|[a-z_]+ = )`)
	for _, kind := range settings.Transports() {
		text, err := starters.ReadFile("starter/" + kind + ".toml")
		if err != nil {
			t.Error(err)
			continue
		}
		all := option.ReplaceAllString(string(text), "$1")
		if n := len(option.FindAllString(string(text), -1)); n < 3 {
			t.Errorf("%s shows %d options", kind, n)
		}
		for _, one := range []string{string(text), all} {
			s, err := settings.Parse(kind+".toml", []byte(one))
			if err != nil {
				t.Error(err)
				continue
			}
			if len(s.Studios) != 1 || s.Studios[0].Transport != kind {
				t.Errorf("%s has the studios %+v", kind, s.Studios)
			}
		}
		for line := range strings.Lines(all) { // prose begins with "# "
			if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
				t.Errorf("%s: is this an option or prose? %s", kind, line)
			}
		}
	}
}
