package settings_test

import (
	"reflect"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

// TestChanges: a comparison finds every key that is new, differs or is gone, and nothing
// else.
func TestChanges(t *testing.T) {
	t.Parallel()
	older := `
[engine]
expiry = "24h"
[studio.lab]
transport = "exec"
start = ["on", "https://host.example/services/T0/B0", "{session}"]
status = ["is"]
env = { A = "1", B = "2" }
probe = "ssh"
[studio.shelf]
transport = "libvirt"
uri = "qemu:///session"
[lane.lab]
rate = 2
`
	for _, c := range []struct {
		name, newer string
		want        []settings.Change
	}{
		{"the same", older, nil},
		{"order, comments and spelling", `
lane.lab.rate = 2
studio.shelf = { uri = 'qemu:///session', transport = "libvirt" }
[studio.lab] # a comment
start = ['on', 'https://host.example/services/T0/B0', '{session}']
status = ["is"]
probe = "ssh"
transport = "exec"
env.A = "1"
env.B = "2"
[engine]
expiry = '24h'
`, nil},
		{"all else", `
[studio.lab]
transport = "exec"
start = ["on", "https://host.example/services/T0/B1", "{session}"]
status = ["is"]
env = { A = "1", C = "2" }
probe = "rdp"
[studio."new*"]
transport = "libvirt"
uri = "qemu:///session"
host = "127.0.0.1"
[lane.lab]
rate = 2.5
`, []settings.Change{
			{Key: "studio.lab.start", Line: 4, Was: `["on", "https://host.example/…", "{session}"]`, Is: `["on", "https://host.example/…", "{session}"]`},
			{Key: "studio.lab.env.C", Line: 6, Is: `"2"`},
			{Key: "studio.lab.probe", Line: 7, Was: `"ssh"`, Is: `"rdp"`},
			{Key: `studio."new*".transport`, Line: 9, Is: `"libvirt"`},
			{Key: `studio."new*".uri`, Line: 10, Is: `"qemu:///session"`},
			{Key: `studio."new*".host`, Line: 11, Is: `"127.0.0.1"`},
			{Key: "lane.lab.rate", Line: 13, Was: "2", Is: "2.5"},
			{Key: "engine.expiry", Was: `"24h"`},
			{Key: "studio.lab.env.B", Was: `"2"`},
			{Key: "studio.shelf.transport", Was: `"libvirt"`},
			{Key: "studio.shelf.uri", Was: `"qemu:///session"`},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := settings.Parse("a.toml", []byte(older))
			if err != nil {
				t.Fatal(err)
			}
			b, err := settings.Parse("b.toml", []byte(c.newer))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.Changes(b); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
			if got := b.Changes(b); got != nil {
				t.Errorf("a file differs from itself: %q", got)
			}
		})
	}
}
