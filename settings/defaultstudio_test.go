package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

func TestDefaultStudio(t *testing.T) {
	t.Parallel()
	const lab = "[studio.lab]\ntransport = 'nimble'\n"
	for text, want := range map[string]string{
		lab:                                "",
		"default_studio = 'lab'\n" + lab:   "lab",
		"default_studio = 'other'\n" + lab: `x.toml:1: default_studio: no [studio.NAME] serves "other"`,
		"default_studio = ''\n" + lab:      "x.toml:1: default_studio: it is empty",
		"default_studio = 'a b'\n" + lab:   `x.toml:1: default_studio: id "a b": character ' ' at byte 1`,
		"default_studio = 1\n" + lab:       "x.toml:1: default_studio: want a text in quotes, not a number",
		"default_studio = 'farm-2'\n[studio.'farm-*']\ntransport = 'nimble'\n": "farm-2",
	} {
		s, err := settings.Parse("x.toml", []byte(text))
		switch {
		case err != nil && (want == "" || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s\n%v, want %s", text, err, want)
		case err == nil && s.DefaultStudio != want:
			t.Errorf("%s\nthe default studio is %q, want %q", text, s.DefaultStudio, want)
		}
	}
}

// TestNamedIDs: what a shell completes is what the file names, and no pattern.
func TestNamedIDs(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse("x.toml", []byte(`
default_studio = "farm-2"
[studio.lab]
transport = "nimble"
[studio."farm-*"]
transport = "nimble"
[studio.shelf]
transport = "wol"
probe = "ssh"
machines = { b = { mac = "52:54:00:12:34:56" }, a = { mac = "52:54:00:12:34:57" } }
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.StudioIDs(); !slices.Equal(got, []string{"farm-2", "lab", "shelf"}) {
		t.Errorf("studios %q", got)
	}
	for studio, want := range map[string][]string{"shelf": {"a", "b"}, "lab": nil, "none": nil} {
		if got := s.SessionIDs(studio); !slices.Equal(got, want) {
			t.Errorf("sessions of %s: %q, want %q", studio, got, want)
		}
	}
}
