package settings_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/transport/probe"
)

// documented is the file that the package's documentation shows.
func documented(t testing.TB) string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "// # The file\n")
	text, _, _ = strings.Cut(text, "// # Guarantees\n")
	var file strings.Builder
	for line := range strings.Lines(text) {
		if line == "//\n" {
			file.WriteString("\n")
		} else if code, ok := strings.CutPrefix(line, "//\t"); ok {
			file.WriteString(code)
		}
	}
	return file.String()
}

// TestDocumented checks that the documentation's file is valid, and shows all keys.
func TestDocumented(t *testing.T) {
	text := documented(t)
	s, err := settings.Parse("rouse.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if s.StoreSize != 1<<30 {
		t.Errorf("the database may have %d bytes, want a GiB", s.StoreSize)
	}
	var got [][5]string
	for _, one := range s.Studios {
		got = append(got, [5]string{one.Pattern, one.Transport, one.Where, one.Probe.String(), one.Lane})
	}
	want := [][5]string{
		{"us-west-2", "ec2", "https://ec2.us-west-2.amazonaws.com, us-west-2, profile farm, by tag Name", "tls:8443 and ssh", "farm-account"},
		{"shelf", "wol", "3 machines and those of /etc/ethers by 10.0.0.255", "ssh:22", ""},
		{"ipmi-*", "exec", "rouse-ipmi start {session}", "ssh:22", ""},
		{"bench", "libvirt", "qemu:///session by /run/user/1000/libvirt/libvirt-sock", "ssh:2222", ""},
		{"*", "nimble", "https://studio.example, us-west-2, profile studio", "none", ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	first := s.Studios[0].Probe
	if want := (probe.Probe{Kind: probe.KindTLS, Port: 8443, Timeout: 8 * time.Second, Command: first.Command}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	if want := []string{"ssh", "-oBatchMode=yes", "--", "{host}", `dcv list-sessions -j | grep -q '"id"'`}; first.Command == nil ||
		!reflect.DeepEqual(first.Command.Args, want) {
		t.Errorf("the command of %v, want %q", first, want)
	}
	// The documentation must show every key that a message names.
	for _, table := range []string{"[engine]", "[store]", "[serve]", "[serve.oidc]", "[serve.oidc.groups.a]", "[studio.a]\ntransport='nimble'", "[studio.a]\ntransport='ec2'", "[studio.a]\ntransport='exec'",
		"[studio.a]\ntransport='libvirt'", "[studio.a]\ntransport='wol'", "[studio.a]\ntransport='wol'\n[studio.a.machines.b]", "[lane.a]"} {
		_, err := settings.Parse("x", []byte(table+"\nzzzzzz = 1\n"))
		_, known, ok := strings.Cut(err.Error(), "known are ")
		if !ok {
			t.Fatalf("%s: %v", table, err)
		}
		known, _, _ = strings.Cut(known, "\n")
		for key := range strings.SplitSeq(known, ", ") {
			if !strings.Contains(text, "\n"+key+" ") && !strings.Contains(text, " "+key+" = ") && !strings.Contains(text, "."+key+"]\n") && !strings.Contains(text, "."+key+".") {
				t.Errorf("the documentation does not show %s of %s", key, table)
			}
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse("rouse.toml", []byte(documented(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Serve{
		Listen: "10.0.0.5:8282", TLSCert: "/etc/rouse/tls.crt", TLSKey: "/etc/rouse/tls.key", Hosts: []string{"farm.example"},
		SocketGroup: "rouse",
		Keys:        []settings.AccessKey{{Name: "render-bot", ID: "AKIDEXAMPLE", SecretEnv: "RENDER_BOT_SECRET", Role: "operator", Scope: []string{"comp/*"}}},
		OIDC: &settings.OIDC{
			Issuer: "https://login.example", Audience: "rouse", NameClaim: "email", GroupsClaim: "groups",
			Groups: []settings.Group{{Name: "artists", Role: "operator", Scope: []string{"comp/*"}}},
		},
	}
	if !reflect.DeepEqual(s.Serve, want) {
		t.Errorf("%+v, want %+v", s.Serve, want)
	}
	s, err = settings.Parse("rouse.toml", []byte("[studio.lab]\ntransport = 'libvirt'\n[serve]\nlisten = ':0'\n"))
	if err != nil || !reflect.DeepEqual(s.Serve, settings.Serve{Listen: ":0"}) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse("rouse.toml", []byte(documented(t)))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][2]string{
		"us-west-2": {"us-west-2", "farm-account"}, "us-west-1": {"*", "us-west-1"}, "ipmi-7": {"ipmi-*", "ipmi-7"}, "ipmi": {"*", "ipmi"},
	} {
		if got, ok := s.Find(id); !ok || got.Pattern != want[0] || got.Lane != want[1] {
			t.Errorf("%s is served by %q in lane %q, want %q", id, got.Pattern, got.Lane, want)
		}
	}
	s, err = settings.Parse("rouse.toml", []byte("[studio.lab]\ntransport = 'libvirt'\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Find("laboratory"); ok {
		t.Errorf("laboratory is served by %+v", got)
	}
}

func TestEngine(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse("rouse.toml", []byte(`
[studio."*"]
transport = "libvirt"
[lane."*"]
rate = 3
[lane."render-*"]
rate = 0.5
concurrency = 2
[lane.render-7]
concurrency = 9
[engine]
expiry = "1d12h"
boot_timeout = "1h"
timeout = "1m30s"
`))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Engine()
	if c.BootTimeout != time.Hour || c.Timeout != 90*time.Second || c.Expiry != 36*time.Hour {
		t.Errorf("%+v", c)
	}
	for name, want := range map[string]engine.LaneConfig{
		"lab": {Rate: 3}, "render-1": {Rate: 0.5, Concurrency: 2}, "render-7": {Concurrency: 9},
	} {
		if got := c.Lane(name); got != want {
			t.Errorf("lane %s: %+v, want %+v", name, got, want)
		}
	}
}

// TestWrong checks that the report of each mistake has its line and key, and what is
// allowed. It puts Studio before a line that begins with a key.
func TestWrong(t *testing.T) {
	t.Parallel()
	texts := map[string]bool{}
	for text, want := range map[string]string{
		"":                                   `x.toml: there is no studio; begin with [studio.NAME], where NAME is a studio's id, and transport = one of ec2, exec, libvirt, nimble or wol`,
		"a = ":                               `x.toml:1: `,
		"a = 1\nb = 2\na = 3":                `x.toml:3: a: `,
		"[studios.lab]":                      `x.toml:1: studios: unknown key; did you mean "studio"?; known are engine, store, serve, studio, lane`,
		"studio = 1":                         `x.toml:1: studio: want a table for each studio, as [studio.lab], not a number`,
		"[[studio]]\na = 1":                  `x.toml:1: studio: want a table for each studio, as [studio.lab], not an array`,
		"[studio]\nlab = 'ec2'":              `x.toml:2: studio.lab: want a table for each studio, as [studio.lab], not a text`,
		"[studio.lab]":                       `x.toml:1: studio.lab: transport is required: one of ec2, exec, libvirt, nimble or wol`,
		"[studio.lab]\ntransport = 'wool'":   `x.toml:2: studio.lab.transport: "wool" is none of ec2, exec, libvirt, nimble, wol; did you mean "wol"?`,
		"[studio.lab]\ntransport = 7":        `x.toml:2: studio.lab.transport: want a text in quotes, not a number`,
		"[studio.'a b']\ntransport='ec2'":    `x.toml:1: studio."a b": id "a b": character ' ' at byte 1 is not allowed`,
		"[studio.'a*b']\ntransport='ec2'":    `x.toml:1: studio."a*b": "*" is allowed at the end only`,
		"[studio.'']\ntransport='ec2'":       `x.toml:1: studio."": id is empty`,
		"[engine]\nbudget = '30m'":           `x.toml:2: engine.budget: this key has a new name; write boot_timeout`,
		"[engine]\nboot_timeout = 30":        `x.toml:2: engine.boot_timeout: want a duration in quotes, as "30s", "1h30m" or "2d", not a number`,
		"[serve]\nlisten = '8282'":           `x.toml:2: serve.listen: "8282": want an address and a port, as "127.0.0.1:8282"`,
		"[serve]\nlisten = 'localhost:http'": `x.toml:2: serve.listen: "localhost:http": want an address and a port`,
		"[serve]\ntls_cert = 'a.pem'":        `x.toml:2: serve.tls_cert: it needs tls_key, which is not set`,
		"[serve.keys.a]\naccess_key_id = 'A'\nsecret_env = 'S'\nrole = 'viewer'\n[serve.keys.b]\naccess_key_id = 'A'\nsecret_env = 'S'\nrole = 'viewer'": `x.toml:6: serve.keys.b.access_key_id: "A" is that of [serve.keys.a] too; give each client a key of its own`,
		"[serve]\ntls_key = 'a.pem'":                          `x.toml:2: serve.tls_key: it needs tls_cert, which is not set`,
		"[serve]\ntoken = 'x'":                                `x.toml:2: serve.token: this looks like a secret`,
		"[serve.oidc]\naudience = 'x'":                        `x.toml:1: serve.oidc: issuer is required: the URL of the issuer`,
		"[serve.oidc]\nissuer = 'https://u:planted-secret@x'": `x.toml:2: serve.oidc.issuer: this looks like a secret`,
		"[serve.oidc.groups.a]\nrole = 'owner'":               `x.toml:2: serve.oidc.groups.a.role: "owner" is none of viewer, operator, admin`,
		"[serve.oidc.groups.a]\nscope = ['a/b']":              `x.toml:1: serve.oidc.groups.a: role is required: viewer, operator or admin`,
		"[serve.oidc]\nissuer = 'https://x'":                  `x.toml:1: serve.oidc: groups is required: a table for each group`,
		"[store]\nmax_mib = 0":                                `x.toml:2: store.max_mib: 0: want 1 to 1048576`,
		"[store]\nmax_mb = 9":                                 `x.toml:2: store.max_mb: unknown key; did you mean "max_mib"?; known are max_mib`,
		"store = 9":                                           `x.toml:1: store: want a table, as [store], not a number`,
		"[engine]\nboot_timeout = '30'":                       `x.toml:2: engine.boot_timeout: "30": want a duration in quotes, as "30s", "1h30m" or "2d"`,
		"[engine]\nboot_timeout = '-1m'":                      `x.toml:2: engine.boot_timeout: "-1m": want a duration longer than zero`,
		"engine = 'fast'":                                     `x.toml:1: engine: want a table, as [engine], not a text`,
		"[lane.lab]\nrate = 1":                                `x.toml:1: lane.lab: no studio has this lane; a lane is a studio's id, or the value of its key lane`,
		ec2 + "[lane.lap]\nrate = 1":                          `x.toml:3: lane.lap: no studio has this lane; a lane is a studio's id, or the value of its key lane; did you mean "lab"?`,
		ec2 + "[lane.lab]":                                    `x.toml:3: lane.lab: it has no keys; give concurrency, rate or both`,
		ec2 + "[lane.lab]\nrate = 0":                          `x.toml:4: lane.lab.rate: 0: want more than 0, and at most 1000000`,
		ec2 + "[lane.lab]\nrate = nan":                        `x.toml:4: lane.lab.rate: NaN: want more than 0, and at most 1000000`,
		ec2 + "[lane.lab]\nrate = '1'":                        `x.toml:4: lane.lab.rate: want a number, not a text`,
		ec2 + "[lane.lab]\nconcurrency=1.5":                   `x.toml:4: lane.lab.concurrency: want a whole number, not a number`,
		ec2 + "[lane.lab]\nconcurrency=0":                     `x.toml:4: lane.lab.concurrency: 0: want 1 to 1048576`,
		ec2 + "reigon = 'x'":                                  `x.toml:3: studio.lab.reigon: unknown key; did you mean "region"?; known are transport, lane, probe, probe_timeout, probe_command, endpoint, region, profile, tag, tags, status_checks, public, stale_for`,
		ec2 + "region = ''":                                   `x.toml:3: studio.lab.region: it is empty; give a value, or remove the key to use the default`,
		ec2 + "region = 'US West'":                            `x.toml:3: studio.lab.region: "US West": want a region's name, as "us-west-2"`,
		ec2 + "region = 1979-05-27":                           `x.toml:3: studio.lab.region: want a text in quotes, not a date`,
		ec2 + "endpoint = 'localhost:1'":                      `x.toml:3: studio.lab.endpoint: "localhost:1" is not an http or https URL; did you mean http://localhost:1?`,
		ec2 + "lane = 'a b'":                                  `x.toml:3: studio.lab.lane: id "a b": character ' ' at byte 1 is not allowed`,
		ec2 + "probe = 'vnc'":                                 `x.toml:3: studio.lab.probe: "vnc": want "none", "dcv", "rdp", "ssh", or a kind and a port`,
		ec2 + "probe_timeout = '1s'":                          `x.toml:3: studio.lab.probe_timeout: it needs probe, which is not set`,
		ec2 + "public = 'yes'":                                `x.toml:3: studio.lab.public: want true or false, not a text`,
		ec2 + "tags = ['a']":                                  `x.toml:3: studio.lab.tags: want a table of texts, as { a = "b" }, not an array`,
		ec2 + "tags = { a = 1 }":                              `x.toml:3: studio.lab.tags.a: want a text in quotes, not a number`,
		ec2 + "instance_types = 'g5.xlarge'":                  `x.toml:3: studio.lab.instance_types: want an array of texts, as ["a", "b"], not a text`,
		ec2 + "instance_types = ['g5']":                       `x.toml:3: studio.lab.instance_types: it has "g5", which is no instance type; write it as g5.2xlarge`,
		ec2 + "instance_types = ['a.b', 'a.b']":               `x.toml:3: studio.lab.instance_types: it has a.b twice`,
		ec2 + "instance_types_after = 2":                      `x.toml:3: studio.lab.instance_types_after: it needs instance_types, which is not set`,
		ec2 + "put_type_back = true":                          `x.toml:3: studio.lab.put_type_back: it needs instance_types, which is not set`,
		ec2 + "tags = { '' = 'b' }":                           `x.toml:3: studio.lab.tags."": the key of a tag is empty`,
		wol + "probe = 'ssh'":                                 `x.toml:1: studio.lab: machines is required: each session's MAC address, or ethers, a file that has them`,
		wol + "ethers = '/etc/ethers'":                        `x.toml:1: studio.lab: probe is required: a magic packet has no answer, so only a port that answers shows that a machine runs`,
		wol + shelf + "machines.b = {}":                       `x.toml:5: studio.lab.machines.b: mac is required: the address of its network card`,
		wol + shelf + "machines.b.mac = '52:54'":              `x.toml:5: studio.lab.machines.b.mac: MAC "52:54": want six bytes, such as 52:54:00:12:34:56`,
		wol + shelf + "machines.b = { mac = '52:54:00:12:34:56', address=':9' }": `x.toml:5: studio.lab.machines.b.address: address ":9": want a host, or a host and a port from 1 to 65535`,
		wol + shelf + "machines.b = { mac = '52:54:00:12:34:56', hots='x' }":     `x.toml:5: studio.lab.machines.b.hots: unknown key; did you mean "host"?; known are mac, host, address, probe, probe_timeout, probe_command, password_env`,
		wol + shelf + "machines.b = { mac = '52:54:00:12:34:56', probe='x' }":    `x.toml:5: studio.lab.machines.b.probe: "x": want "none"`,
		wol + shelf + "machines.'b c' = { mac = '52:54:00:12:34:56' }":           `x.toml:5: studio.lab.machines."b c": id "b c": character ' '`,
		wol + shelf + "machines.b = '52:54:00:12:34:56'":                         `x.toml:5: studio.lab.machines.b: want a table for each machine, as node-01 = { mac = "52:54:00:12:34:56" }, not a text`,
		wol + shelf + "stop = ['ssh', '{sesion}']":                               `x.toml:5: studio.lab.stop: {sesion} in "{sesion}" is not a placeholder; known are {studio}, {session}, {token}`,
		wol + shelf + "stop = []":                                                `x.toml:5: studio.lab.stop: it is empty; give a value, or remove the key to use the default`,
		wol + shelf + "address = '10.0.0.999'":                                   `x.toml:5: studio.lab.address: address "10.0.0.999": want a host, or a host and a port from 1 to 65535`,
		wol + shelf + "address = '10.0.0.:9'":                                    `x.toml:5: studio.lab.address: address "10.0.0.:9": want a host`,
		wol + shelf + "address = 'x:y'":                                          `x.toml:5: studio.lab.address: address "x:y": want a host`,
		exec + "start = 'rouse-ipmi start'":                                      `x.toml:3: studio.lab.start: want an array of the program and its arguments, as ["rouse-ipmi", "start", "{session}"]; one text goes with shell = true`,
		exec + "start = ['a', 1]":                                                `x.toml:3: studio.lab.start: want an array of texts, as ["a", "b"], and one of them is a number`,
		exec + "start = ['a-{session}']":                                         `x.toml:3: studio.lab.start: the program "a-{session}" depends on the session; ids belong in arguments`,
		exec + "start = ['a']":                                                   `x.toml:1: studio.lab: status is required: the command that says how {session} is`,
		exec + "start = ['a']\nshell = true\nstatus = ['a', 'b']":                `x.toml:5: studio.lab.status: a shell runs one text, not 2`,
		exec + "repeat = 'by_sate'":                                              `x.toml:3: studio.lab.repeat: "by_sate" is none of never, by_state, by_token; did you mean "by_state"?`,
		exec + "host = '{sesion}'":                                               `x.toml:3: studio.lab.host: {sesion} in "{sesion}" is not a placeholder; known are {studio}, {session}`,
		exec + "env = { 'A-B' = '1' }":                                           `x.toml:3: studio.lab.env.A-B: want the name of an environment variable`,
		libvirt + "uri = 'qemu'":                                                 `x.toml:3: studio.lab.uri: URI "qemu": want a driver and a path, such as qemu:///system`,
		libvirt + "uri = 'qemu+ssh://h/system'":                                  `x.toml:3: studio.lab.uri: the URI names a host or a way to it`,
		libvirt + "host = '{token}'":                                             `x.toml:3: studio.lab.host: {token} in "{token}" is not a placeholder; known are {studio}, {session}`,

		// A probe must end before the engine ends its read.
		ec2 + "probe = 'ssh'\nprobe_timeout = '15s'":      `x.toml:4: studio.lab.probe_timeout: it waits up to 15s, but engine.timeout ends a call after 15s; choose a shorter probe_timeout or a longer engine.timeout`,
		"engine.timeout = '3s'\n" + ec2 + "probe = 'ssh'": `x.toml:4: studio.lab.probe: it waits up to 3s, but engine.timeout ends a call after 3s; choose a shorter probe_timeout or a longer engine.timeout`,
	} {
		_, err := settings.Parse("x.toml", []byte(text))
		var all settings.Errors
		if !errors.As(err, &all) {
			t.Errorf("%q: %v, want settings.Errors", text, err)
			continue
		}
		if !containsLine(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant a line that begins with\n%s", text, err, want)
		}
		for _, one := range all {
			texts[one.Key+"\n    "+one.Message+"\n"] = true
		}
	}
	compareTexts(t, texts)
}

// errorTexts has the errors of a settings file, for sample values. ROUSE_GOLDEN=write
// writes it. Read the difference before you commit it.
const errorTexts = "testdata/errors.txt"

func compareTexts(t *testing.T, texts map[string]bool) {
	t.Helper()
	got := strings.Join(slices.Sorted(maps.Keys(texts)), "")
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		if err := os.WriteFile(errorTexts, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(errorTexts)
	if err != nil || got != string(want) {
		t.Errorf("%v; the errors are\n%s\nand %s has\n%s", err, got, errorTexts, want)
	}
}

const (
	ec2     = "[studio.lab]\ntransport = 'ec2'\n"
	wol     = "[studio.lab]\ntransport = 'wol'\n"
	exec    = "[studio.lab]\ntransport = 'exec'\n"
	libvirt = "[studio.lab]\ntransport = 'libvirt'\n"
	shelf   = "probe = 'ssh'\nmachines.a.mac = '52:54:00:12:34:56'\n"
)

func containsLine(text, begin string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

// TestAllAtOnce checks that no mistake hides another, and that they are in the order of
// the file.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := settings.Parse("x.toml", []byte(`
[lane.nobody]
rate = "fast"

[studio.a]
transport = "ec2"
reigon = "us-west-2"
probe = "vnc"

[studio.b]
transport = "exec"
start = "x"

[studio.c]
transport = "wool"
whatever = true

[engin]
`))
	var lines []int
	var all settings.Errors
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	for _, e := range all {
		lines = append(lines, e.Line)
	}
	// Line 10 lacks status.
	if want := []int{2, 3, 7, 8, 10, 12, 15, 18}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v:\n%v", lines, want, err)
	}
	var first *settings.Error
	if !errors.As(err, &first) || first.Key != "lane.nobody" || first.File != "x.toml" {
		t.Errorf("%+v", first)
	}
}

// TestNoSecrets checks that a secret is refused anywhere. The message has the next step,
// and not the secret.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	const hunter = "hunter2"
	for text, hint := range map[string]string{
		ec2 + "secret_access_key = 'hunter2'":                                                 "give its name here (password_env, secret_env, profile)",
		ec2 + "aws_session_token = 'hunter2'":                                                 "profile",
		ec2 + "password = 'hunter2'":                                                          "password_env",
		"api-key = 'hunter2'":                                                                 "environment",
		ec2 + "profile = 'AKIAIOSFODNN7EXAMPLE'":                                              "profile",
		ec2 + "endpoint = 'https://rouse:hunter2@ec2.example'":                                "environment",
		ec2 + "endpoint = 'ftp://rouse:hunter2@ec2.example'":                                  "environment",
		ec2 + "endpoint = 'https://rouse:hunter2@[::1'":                                       "environment",
		libvirt + "uri = 'qemu://rouse:hunter2@host/system'":                                  "environment",
		wol + shelf + "machines.b = { mac = '52:54:00:12:34:56', password = 'hunter2' }":      "password_env",
		wol + shelf + "machines.b = { mac = '52:54:00:12:34:56', password_env = 'hunter2!' }": "want the name of an environment variable",
		exec + "env = { IPMI_PASSWORD = 'hunter2' }":                                          "export it where rouse runs",
		exec + "env = { A = 'https://a:hunter2@b' }":                                          "environment",
		exec + "start = ['curl', 'https://a:hunter2@b']":                                      "environment",
	} {
		_, err := settings.Parse("x.toml", []byte(text))
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		if strings.Contains(strings.ToLower(err.Error()), hunter) || strings.Contains(err.Error(), "AKIA") || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want %q", text, err, hint)
		}
	}
	if _, err := settings.Parse("x.toml", []byte(exec+"start=['a']\nstatus=['a']\nenv = { SSH_PRIVATE_KEY_FILE = '/etc/rouse/id' }")); err != nil {
		t.Errorf("the name of a file is no secret: %v", err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rouse.toml")
	if _, err := settings.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := settings.Load(dir); err == nil {
		t.Error("a folder was loaded")
	}
	if err := os.WriteFile(path, []byte("# "+strings.Repeat("x", settings.MaxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Load(path); err == nil || !strings.Contains(err.Error(), "it has more than 1048576 bytes") {
		t.Errorf("a large file: %v", err)
	}
	if err := os.WriteFile(path, []byte(libvirt), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(path)
	if err != nil || s.File != path || len(s.Studios) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSingle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		single settings.Single
		where  string // or the error
	}{
		{settings.Single{}, "as the AWS settings say"},
		{settings.Single{Endpoint: "http://127.0.0.1:1", Region: "nowhere-1"}, "http://127.0.0.1:1, nowhere-1"},
		{settings.Single{Transport: "ec2", Profile: "farm", Probe: "dcv"}, "profile farm"},
		{settings.Single{Transport: "libvirt", Endpoint: "qemu:///session"}, "qemu:///session"},
		{settings.Single{Transport: "exec", Endpoint: "rouse-ipmi"}, "rouse-ipmi start {session}"},
		{settings.Single{Transport: "wol", Endpoint: "10.0.0.255", Probe: "ssh"}, "those of /etc/ethers by 10.0.0.255"},
		{settings.Single{Transport: "vmware"}, `--transport: "vmware" is none of ec2, exec, libvirt, nimble, wol`},
		{settings.Single{Endpoint: "127.0.0.1:1"}, `--endpoint: "127.0.0.1:1" is not an http or https URL; did you mean http://127.0.0.1:1?`},
		{settings.Single{Probe: "ssh"}, `--probe: it does not go with --transport nimble`},
		{settings.Single{Transport: "libvirt", Region: "x"}, `--region: it does not go with --transport libvirt`},
		{settings.Single{Transport: "libvirt", Endpoint: "qemu"}, `--endpoint: URI "qemu": want a driver and a path, such as qemu:///system`},
		{settings.Single{Transport: "exec"}, `--endpoint: it is required: the program that starts sessions; it is called with start or status, and the session's id`},
		{settings.Single{Transport: "exec", Endpoint: "x{session}"}, `--endpoint: the program "x{session}" depends on the session; ids belong in arguments`},
		{settings.Single{Transport: "wol"}, `--probe: it is required: a magic packet has no answer, so only a port that answers shows that a machine runs`},
		{settings.Single{Transport: "wol", Endpoint: ":x", Probe: "ssh"}, `--endpoint: address ":x": want a host, or a host and a port from 1 to 65535`},
	} {
		s, err := c.single.Settings()
		switch {
		case err != nil && err.Error() != c.where:
			t.Errorf("%+v:\n%v\nwant\n%s", c.single, err, c.where)
		case err == nil && (len(s.Studios) != 1 || s.Studios[0].Pattern != "*" || s.Studios[0].Where != c.where):
			t.Errorf("%+v: %+v, want %s", c.single, s.Studios, c.where)
		}
	}
}

// TestEnvHoldsNoSecrets checks that a file may not have a variable whose name looks like
// a secret. The file can mark other variables as secret.
func TestEnvHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"IPMI_PASSWORD", "IPMI_PASS", "SSHPASS", "MYSQL_PWD", "API_KEY", "SSH_KEY", "GITHUB_TOKEN", "CREDENTIALS"} {
		_, err := settings.Parse("f", []byte("[studio.x]\ntransport = 'exec'\nstart = ['a']\nstatus = ['a']\nenv = { "+name+" = 'hunter2' }\n"))
		if err == nil || !strings.Contains(err.Error(), "env."+name+": this looks like a secret") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, line := range []string{`env = { IPMI_USER = "rouse", SSH_KEY_FILE = "/k", PWD = "/srv" }`, `secret_env = ["IPMI_USER", "NOT_SET"]`} {
		if _, err := settings.Parse("f", []byte("[studio.x]\ntransport = 'exec'\nstart = ['a']\nstatus = ['a']\n"+line+"\n")); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for line, want := range map[string]string{
		`secret_env = ["hunter 2"]`: "secret_env: want names of environment variables, and no values",
		`secret_env = []`:           "secret_env: it is empty",
	} {
		_, err := settings.Parse("f", []byte("[studio.x]\ntransport = 'exec'\nstart = ['a']\nstatus = ['a']\n"+line+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestProbeCommand: a command goes with a port, and is checked as it is read.
func TestProbeCommand(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"probe_command = ['ssh', '{host}']":                                      "probe_command: it needs probe, which is not set",
		"probe = 'dcv'\nprobe_command = ['ssh', '{session}']":                    `probe_command: {session} in "{session}" is not a placeholder; known is {host}`,
		"probe = 'dcv'\nprobe_command = 'ssh'":                                   "probe_command: want an array of texts",
		"probe = 'dcv'\nprobe_command = []":                                      "probe_command: it is empty",
		"probe = 'dcv'\nprobe_command = ['ssh', '{host}']\nsecret_env = ['a b']": "secret_env: want names",
		"probe = 'dcv'\nsecret_env = ['A']":                                      "secret_env: unknown key",
	} {
		_, err := settings.Parse("f", []byte("[studio.x]\ntransport = 'libvirt'\n"+lines+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", lines, err, want)
		}
	}
	s, err := settings.Parse("f", []byte("[studio.x]\ntransport = 'wol'\nprobe = 'dcv'\nprobe_command = ['ssh', '{host}']\nsecret_env = ['A']\nmachines.a.mac = '52:54:00:12:34:56'"))
	if err != nil || !reflect.DeepEqual(s.Studios[0].Probe.Command.Secrets, []string{"A"}) {
		t.Errorf("%+v, %v", s, err)
	}
}
