package settings

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/probe"
)

type execDriver struct{ config exec.Config }

// repeats are the words for what a second start of one session does.
var repeats = map[string]transport.Repeat{"never": transport.RepeatNever, "by_token": transport.RepeatByToken, "by_state": transport.RepeatByState}

func readExec(t *table, p probe.Probe) driver {
	c := exec.Config{
		Shell: t.yes("shell"), Dir: t.text("dir"), Host: t.text("host"), Probe: p,
		Repeat: repeats[t.choice("repeat", "never", "by_state", "by_token")], Authoritative: t.yes("authoritative"),
	}
	for _, cmd := range []struct {
		key  string
		argv *[]string
	}{{"start", &c.Start}, {"status", &c.Status}, {"stop", &c.Stop}} {
		if *cmd.argv = command(t, cmd.key, c.Shell); *cmd.argv != nil {
			checkCommand(t, cmd.key, exec.Config{Start: *cmd.argv, Status: *cmd.argv, Shell: c.Shell})
		}
	}
	c.IDCharacters, c.Secrets = idCharacters(t), secretEnv(t)
	t.required("start", "the command that starts {session}")
	t.required("status", "the command that says how {session} is")
	if c.Host != "" {
		checkCommand(t, "host", exec.Config{Start: []string{"true"}, Status: []string{"true"}, Host: c.Host})
	}
	for name, value := range t.pairs("env", checkVariable) {
		c.Env = append(c.Env, name+"="+value)
	}
	slices.Sort(c.Env)
	return &execDriver{c}
}

// command reads an array of a program and its arguments. With shell, it reads one text.
func command(t *table, key string, shell bool) []string {
	_, isText := t.values[key].(string)
	switch {
	case isText && !shell:
		t.known = append(t.known, key)
		t.wrong(key, `want an array of the program and its arguments, as ["rouse-ipmi", "%s", "{session}"]; one text goes with shell = true`, key)
		return nil
	case isText:
		if text := t.text(key); text != "" {
			return []string{text}
		}
		return nil
	}
	return t.texts(key)
}

// idCharacters are the characters that ids of commands may hold in addition to those of
// words.
func idCharacters(t *table) string {
	more := t.text("id_characters")
	checkCommand(t, "id_characters", exec.Config{Start: []string{"true"}, Status: []string{"true"}, IDCharacters: more})
	return more
}

var errorsOfExec = regexp.MustCompile(`^exec: ((start command|status command|stop command|host): )?`)

// checkCommand lets the driver check the parts of c that are not placeholders.
func checkCommand(t *table, key string, c exec.Config) {
	if _, err := exec.New(c); err != nil {
		t.wrong(key, "%s", errorsOfExec.ReplaceAllString(err.Error(), ""))
	}
}

func checkVariable(t *table, name string) {
	switch {
	case !isVariable(name):
		t.wrong(name, "want the name of an environment variable")
	case secretName(name):
		t.wrong(name, "this looks like a secret, and a settings file is no place for one; export it where rouse runs, commands have rouse's own environment as well")
	}
}

func (d *execDriver) where() string { return strings.Join(d.config.Start, " ") }

func (d *execDriver) checkStart(in transport.StartInput) error {
	return in.ValidateWords(d.config.IDCharacters)
}

func (d *execDriver) open(_ context.Context, o *opening) transport.Transport {
	t, err := exec.New(d.config)
	if err != nil {
		o.wrong("transport", "%s", cutPrefix(err, "exec: "))
	}
	return t
}
