package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine/hook"
	"github.com/rouse-dev/rouse/settings"
)

const someStudio = "[studio.a]\ntransport = 'nimble'\n"

// TestHooks reads hooks, and the variables and files that they name.
func TestHooks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHAT_URL", " https://hooks.slack.com/services/T0/B0/planted-secret ")
	s, err := settings.Parse("rouse.toml", []byte(someStudio+`
[hook.chat]
url_env = "CHAT_URL"
on = ["failed"]
[hook.page]
command = ["page", "--now"]
after = "5m"
timeout = "30s"
[hook.tickets]
url = "https://tickets.example/in"
secret_file = "`+file+`"
`))
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, h := range s.Hooks {
		where = append(where, h.Name+": "+h.Where)
	}
	if want := []string{"chat: the URL in $CHAT_URL", "page: page --now", "tickets: https://tickets.example/in"}; !reflect.DeepEqual(where, want) {
		t.Errorf("%q, want %q", where, want)
	}
	got, err := s.OpenHooks()
	if err != nil {
		t.Fatal(err)
	}
	want := []hook.Hook{
		{Name: "chat", URL: "https://hooks.slack.com/services/T0/B0/planted-secret", On: []hook.Topic{hook.TopicFailed}},
		{Name: "page", Command: []string{"page", "--now"}, BlockedAfter: 5 * time.Minute, Timeout: 30 * time.Second},
		{Name: "tickets", URL: "https://tickets.example/in", Secret: "open sesame"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestWrongHooks: each fault has its line and key, and quotes no secret.
func TestWrongHooks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[hook.a]":                                                        "x.toml:3: hook.a: command or url is required",
		"[hook.a]\non = ['failed']":                                       "x.toml:3: hook.a: command or url is required",
		"hook = 1":                                                        "x.toml:3: studio.a.hook: ",
		"[hook]\na = 1":                                                   "x.toml:4: hook.a: want a table for each hook, as [hook.chat], not a number",
		"[hook.'a b']\ncommand = ['x']":                                   `x.toml:3: hook."a b": name "a b": want 1 to 64 letters, digits, _ and -`,
		"[hook.a]\ncommand = 'x'":                                         "x.toml:4: hook.a.command: want an array of texts",
		"[hook.a]\ncommand = ['']":                                        "x.toml:4: hook.a.command: it names no program",
		"[hook.a]\ncommand = ['x']\nurl = 'http://a'":                     "x.toml:5: hook.a.url: it does not go with command",
		"[hook.a]\ncommand = ['x']\nsecret_env = 'A'":                     "x.toml:5: hook.a.secret_env: it does not go with command",
		"[hook.a]\nurl = 'http://a'\nurl_env = 'A'":                       "x.toml:5: hook.a.url_env: it does not go with url",
		"[hook.a]\nurl = 'ftp://planted'":                                 "x.toml:4: hook.a.url: want http://HOST/PATH or https://HOST/PATH",
		"[hook.a]\nurl = 'http:// planted'":                               "x.toml:4: hook.a.url: want http://HOST/PATH or https://HOST/PATH",
		"[hook.a]\nurl = 'https://ada:planted@b/'":                        "x.toml:4: hook.a.url: this looks like a secret",
		"[hook.a]\nurl = 'https://hooks.slack.com/services/T0/planted'":   "x.toml:4: hook.a.url: everybody who knows this URL may post to it",
		"[hook.a]\nurl = 'https://discord.com/api/webhooks/1/planted'":    "x.toml:4: hook.a.url: everybody who knows this URL may post to it",
		"[hook.a]\nurl_env = 'https://planted'":                           "x.toml:4: hook.a.url_env: want the name of an environment variable, and no value",
		"[hook.a]\nurl = 'http://a'\nsecret = 'planted'":                  "x.toml:5: hook.a.secret: this looks like a secret",
		"[hook.a]\nurl = 'http://a'\nsecret_env = 'plan ted'":             "x.toml:5: hook.a.secret_env: want the name of an environment variable, and no value",
		"[hook.a]\nurl = 'http://a'\nsecret_env = 'A'\nsecret_file = 'b'": "x.toml:6: hook.a.secret_file: it does not go with secret_env",
		"[hook.a]\ncommand = ['x']\non = ['faild']":                       `x.toml:5: hook.a.on: "faild" is none of failed, expired, succeeded, canceled, blocked; did you mean "failed"?`,
		"[hook.a]\ncommand = ['x']\non = []":                              "x.toml:5: hook.a.on: it is empty",
		"[hook.a]\ncommand = ['x']\non = ['failed']\nafter = '1m'":        `x.toml:6: hook.a.after: it needs "blocked" in on`,
		"[hook.a]\ncommand = ['x']\ntimeout = '0s'":                       "x.toml:5: hook.a.timeout: ",
		"[hook.a]\ncommand = ['x']\ntimeuot = '1s'":                       `x.toml:5: hook.a.timeuot: unknown key; did you mean "timeout"?`,
	} {
		_, err := settings.Parse("x.toml", []byte(someStudio+text))
		var all settings.Errors
		if !errors.As(err, &all) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// TestHooksWithoutTheirSecrets: a missing variable or file is an error with its line and
// key. So is a value that cannot be a secret.
func TestHooksWithoutTheirSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": " \n", "long": strings.Repeat("x", 5000), "no-url": "planted"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("EMPTY", "")
	for text, want := range map[string]string{
		"url = 'http://a'\nsecret_env = 'EMPTY'":              "x.toml:5: hook.a.secret_env: the environment variable EMPTY is not set",
		"url_env = 'EMPTY'":                                   "x.toml:4: hook.a.url_env: the environment variable EMPTY is not set",
		"url = 'http://a'\nsecret_file = '" + dir + "/none'":  "x.toml:5: hook.a.secret_file: open " + dir + "/none: no such file",
		"url = 'http://a'\nsecret_file = '" + dir + "/empty'": "x.toml:5: hook.a.secret_file: " + dir + "/empty is empty",
		"url = 'http://a'\nsecret_file = '" + dir + "/long'":  "x.toml:5: hook.a.secret_file: " + dir + "/long has more than 4096 bytes",
		"url_file = '" + dir + "/no-url'":                     "x.toml:4: hook.a.url_file: the value: want http://HOST/PATH or https://HOST/PATH",
	} {
		s, err := settings.Parse("x.toml", []byte(someStudio+"[hook.a]\n"+text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, err = s.OpenHooks()
		var all settings.Errors
		if !errors.As(err, &all) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}
