package settings

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/engine/hook"
)

// Hook is a command or a URL that gets reports of ended operations and blocked lanes.
type Hook struct {
	Name string
	// Where says, for a person, what is called. It shows no secret.
	Where string

	path        string    // of its table
	hook        hook.Hook // without what its variables and files hold
	url, secret source
}

// source is where a value is that does not belong into a settings file: in a variable or
// a file. The zero source is nowhere.
type source struct{ variable, file string }

// postURL matches URLs with which everybody may post. It is not complete.
var postURL = regexp.MustCompile(`(?i)//(hooks\.slack\.com/services|discord(app)?\.com/api/webhooks|[^/]*\.webhook\.office\.com)/`)

func readHooks(t *table, s *Settings) {
	for name, sub := range t.tables("hook", "a table for each hook, as [hook.chat]") {
		s.Hooks = append(s.Hooks, readHook(sub, name))
	}
}

func readHook(t *table, name string) Hook {
	h := Hook{Name: name, path: display(t.path...)}
	h.hook = hook.Hook{Name: name, Command: t.texts("command"), URL: t.text("url")}
	h.url, h.secret = readSource(t, "url"), readSource(t, "secret")
	h.hook.On, h.hook.BlockedAfter, h.hook.Timeout = readTopics(t), t.duration("after"), t.duration("timeout")
	switch {
	case postURL.MatchString(h.hook.URL):
		t.wrong("url", "everybody who knows this URL may post to it: keep it in an environment variable or a file, and name that in url_env or url_file")
		h.hook.URL = ""
	case h.hook.URL != "":
		if err := (hook.Hook{Name: "x", URL: h.hook.URL}).Validate(); err != nil {
			t.wrong("url", "%s", cutPrefix(err, "URL: "))
		}
	}
	if t.has("command") {
		for _, key := range []string{"url", "url_env", "url_file", "secret_env", "secret_file"} {
			if t.has(key) {
				t.wrong(key, "it does not go with command: a hook is a command or a URL, and only a URL gets a signature")
			}
		}
		if len(h.hook.Command) > 0 {
			if err := (hook.Hook{Name: "x", Command: h.hook.Command}).Validate(); err != nil {
				t.wrong("command", "%s", cutPrefix(err, "command: "))
			}
			h.Where = strings.Join(h.hook.Command, " ")
		}
	} else if oneOf(t, "url", "url_env", "url_file") == "" {
		t.fault(h.path, "command or url is required: what to call")
	}
	oneOf(t, "secret_env", "secret_file")
	if t.has("after") && h.hook.On != nil && !slices.Contains(h.hook.On, hook.TopicBlocked) {
		t.wrong("after", `it needs "blocked" in on`)
	}
	if err := (hook.Hook{Name: name, Command: []string{"x"}}).Validate(); err != nil {
		t.fault(h.path, "%s", err)
	}
	if h.Where == "" {
		h.Where = h.url.text(h.hook.URL)
	}
	t.end()
	return h
}

// oneOf returns which of keys is there, or "". It reports a second one.
func oneOf(t *table, keys ...string) string {
	found := ""
	for _, key := range keys {
		switch {
		case !t.has(key):
		case found != "":
			t.wrong(key, "it does not go with %s: give one of them", found)
		default:
			found = key
		}
	}
	return found
}

// readSource reads the keys KEY_env and KEY_file.
func readSource(t *table, key string) source {
	s := source{t.text(key + "_env"), t.text(key + "_file")}
	if s.variable != "" && !isVariable(s.variable) {
		t.wrong(key+"_env", "want the name of an environment variable, and no value")
	}
	return s
}

func readTopics(t *table) []hook.Topic {
	var words []string
	for _, topic := range hook.Topics() {
		words = append(words, string(topic))
	}
	var on []hook.Topic
	for _, text := range t.texts("on") {
		topic := hook.Topic(text)
		if !slices.Contains(hook.Topics(), topic) {
			t.wrong("on", "%.64q is none of %s%s", text, strings.Join(words, ", "), suggestion(text, words))
			continue
		}
		on = append(on, topic)
	}
	return on
}

// text says for a person where a URL is. url is the value that the settings have.
func (s source) text(url string) string {
	switch {
	case s.variable != "":
		return "the URL in $" + s.variable
	case s.file != "":
		return "the URL in " + s.file
	}
	return url
}

// maxSource is the longest value in a file, in bytes.
const maxSource = 4 << 10

// read returns the value, without white space around it, and "" of nowhere. The error
// says which of KEY_env and KEY_file is wrong.
func (s source) read(key string) (value, wrong string, err error) {
	switch {
	case s.variable != "":
		if value = strings.TrimSpace(os.Getenv(s.variable)); value == "" {
			return "", key + "_env", fmt.Errorf("the environment variable %s is not set", s.variable)
		}
		return value, "", nil
	case s.file == "":
		return "", "", nil
	}
	f, err := os.Open(s.file)
	if err != nil {
		return "", key + "_file", err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	value = strings.TrimSpace(string(text))
	switch {
	case err != nil:
	case value == "":
		err = fmt.Errorf("%s is empty", s.file)
	case len(text) > maxSource:
		err = fmt.Errorf("%s has more than %d bytes", s.file, maxSource)
	}
	return value, key + "_file", err
}

// OpenHooks returns the hooks for hook.Open. It reads the variables and files that the
// hooks name. What is wrong is [Errors], all of it, and the hooks that are right are
// returned too. The values are secrets: do not print the hooks.
func (s *Settings) OpenHooks() ([]hook.Hook, error) {
	r := &report{file: s.File, lines: s.lines}
	var hooks []hook.Hook
	for _, one := range s.Hooks {
		t, before := &table{report: r, path: []string{"hook", one.Name}}, len(r.faults)
		h := one.hook
		url, key, err := one.url.read("url")
		switch {
		case err != nil:
			t.wrong(key, "%v", err)
		case url != "":
			h.URL = url
			if err := (hook.Hook{Name: "x", URL: url}).Validate(); err != nil {
				t.wrong(key, "the value: %s", cutPrefix(err, "URL: "))
			}
		}
		if h.Secret, key, err = one.secret.read("secret"); err != nil {
			t.wrong(key, "%v", err)
		}
		if len(r.faults) == before {
			hooks = append(hooks, h)
		}
	}
	return hooks, r.err()
}
