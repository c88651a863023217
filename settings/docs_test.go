package settings_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

// section is a heading of docs/settings.md and the rows of its table.
type section struct{ keys, examples []string }

// toml returns the examples of the section's keys as the lines of a table. It leaves
// out the keys that are given.
func (s section) toml(without ...string) string {
	var b strings.Builder
	for i, key := range s.keys {
		if !slices.Contains(without, key) {
			fmt.Fprintf(&b, "%s = %s\n", key, s.examples[i])
		}
	}
	return b.String()
}

// readSections reads the tables of docs/settings.md by heading.
func readSections(t *testing.T) map[string]section {
	t.Helper()
	text, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	all, heading := map[string]section{}, ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			heading = strings.ReplaceAll(strings.Trim(line, "# \n"), "`", "")
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 5 || slices.Contains(cells, "") {
			t.Errorf("a row has %d cells or an empty one, want key, type, default, example and meaning: %s", len(cells), line)
			continue
		}
		s := all[heading]
		s.keys = append(s.keys, strings.Trim(cells[0], "`"))
		s.examples = append(s.examples, strings.Trim(cells[3], "`"))
		all[heading] = s
	}
	return all
}

// TestSettingsPage checks that docs/settings.md has every key that the package knows
// and no other, and that its examples are valid together.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	page := readSections(t)
	kinds := settings.Transports()
	for name, c := range map[string]struct{ table, file string }{
		"[engine]":                 {"engine", "[engine]\nzzz = 1\n"},
		"[store]":                  {"store", "[store]\nzzz = 1\n"},
		"[lane.NAME]":              {"lane.a", "[studio.a]\ntransport = 'nimble'\n[lane.a]\nzzz = 1\n"},
		"[hook.NAME]":              {"hook.a", "[studio.a]\ntransport = 'nimble'\n[hook.a]\ncommand = ['x']\nzzz = 1\n"},
		"[serve]":                  {"serve", "[serve]\nzzz = 1\n"},
		"[serve.keys.NAME]":        {"serve.keys.a", "[serve.keys.a]\nzzz = 1\n"},
		"[serve.oidc]":             {"serve.oidc", "[serve.oidc]\nzzz = 1\n"},
		"[serve.oidc.groups.NAME]": {"serve.oidc.groups.a", "[serve.oidc.groups.a]\nzzz = 1\n"},
		"machines of wol":          {"studio.a.machines.m", "[studio.a]\ntransport = 'wol'\nprobe = 'ssh'\n[studio.a.machines.m]\nprobe = 'ssh'\nprobe_command = ['x']\nzzz = 1\n"},
	} {
		compareKeys(t, name, page[name].keys, knownKeys(t, c.table, c.file))
	}
	tables := []string{"engine", "store", "serve", "hook", "lane", "studio"}
	compareKeys(t, "Top of the file", append(tables, page["Top of the file"].keys...), knownKeys(t, "", "zzz = 1\n[studio.a]\ntransport = 'nimble'\n"))
	hooks, targets := "", []string{"command", "url", "url_env", "url_file"}
	for i, target := range targets { // which exclude each other
		without := slices.Concat(targets[:i], targets[i+1:], []string{"secret_env"})
		if target == "command" || target == "url_env" {
			without = append(without, "secret_file")
		}
		hooks += "[hook." + target + "]\n" + page["[hook.NAME]"].toml(without...)
	}
	hooks += "[hook.signed]\n" + page["[hook.NAME]"].toml("command", "url_env", "url_file", "secret_file")
	for _, kind := range kinds {
		own, ok := page[kind]
		if !ok {
			t.Errorf("the page has no section for the transport %s", kind)
			continue
		}
		keys := slices.Concat(page["[studio.NAME]"].keys, own.keys)
		file := "[studio.a]\ntransport = '" + kind + "'\nzzz = 1\n"
		if kind != "nimble" {
			keys = append(keys, page["Probe keys"].keys...)
			file += "probe = 'ssh'\nprobe_command = ['x']\n"
		}
		slices.Sort(keys)
		compareKeys(t, kind, slices.Compact(keys), knownKeys(t, "studio.a", file))

		text := "[studio.a]\ntransport = '" + kind + "'\nlane = 'farm'\n" + own.toml()
		if kind != "nimble" {
			text += page["Probe keys"].toml(own.keys...)
		}
		if kind == "wol" {
			text += "[studio.a.machines.m]\n" + page["machines of wol"].toml()
			text = strings.Replace(text, "machines = "+own.examples[slices.Index(own.keys, "machines")]+"\n", "", 1)
		}
		top := strings.Replace(page["Top of the file"].toml(), `"farm"`, `"a"`, 1) // the studio of this text
		text = top + "[engine]\n" + page["[engine]"].toml() + "[store]\n" + page["[store]"].toml() +
			"[serve]\n" + page["[serve]"].toml("oidc", "keys") + "[serve.keys.a]\n" + page["[serve.keys.NAME]"].toml() + "[serve.oidc]\n" + page["[serve.oidc]"].toml("groups") +
			"[serve.oidc.groups.a]\n" + page["[serve.oidc.groups.NAME]"].toml() +
			"[lane.farm]\n" + page["[lane.NAME]"].toml() + hooks + text
		if _, err := settings.Parse("examples.toml", []byte(text)); err != nil {
			t.Errorf("the examples of %s: %v\n%s", kind, err, text)
		}
	}
}

var known = regexp.MustCompile(`unknown key.*known are (.*)$`)

// knownKeys returns the keys that the package names when it refuses the key zzz.
func knownKeys(t *testing.T, table, file string) []string {
	t.Helper()
	_, err := settings.Parse("x.toml", []byte(file))
	var wrong settings.Errors
	if errors.As(err, &wrong) {
		for _, e := range wrong {
			if m := known.FindStringSubmatch(e.Message); e.Key == strings.TrimPrefix(table+".zzz", ".") && m != nil {
				return strings.Split(m[1], ", ")
			}
		}
	}
	t.Fatalf("%s.zzz is not refused as an unknown key: %v", table, err)
	return nil
}

func compareKeys(t *testing.T, name string, page, known []string) {
	t.Helper()
	page, known = slices.Sorted(slices.Values(page)), slices.Sorted(slices.Values(known))
	known = slices.Compact(known)
	if !slices.Equal(page, known) {
		t.Errorf("docs/settings.md, %s: the page has\n%s\nand the package knows\n%s", name, strings.Join(page, " "), strings.Join(known, " "))
	}
}
