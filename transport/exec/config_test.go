package exec_test

import (
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/probe"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := []string{"true", "{session}"}
	for want, c := range map[string]exec.Config{
		"exec: start command: it is required":  {Status: good},
		"exec: status command: it is required": {Start: good, Status: []string{""}},
		`exec: stop command: {host} in "-H{host}" is not a placeholder; known are {studio}, {session}, {token}`: {
			Start: good, Status: good, Stop: []string{"ipmitool", "-H{host}"}},
		"depends on the session":                 {Start: []string{"/srv/{studio}/start"}, Status: good},
		"a shell runs one text, not 2":           {Start: good, Status: good, Shell: true},
		`host: {token} in "{token}"`:             {Start: good, Status: good, Host: "{token}"},
		`is not "NAME=value"`:                    {Start: good, Status: good, Env: []string{"hunter2"}},
		"repeat 3 is none of":                    {Start: good, Status: good, Repeat: 3},
		"exec: probe: port 22 and time-out 0s w": {Start: good, Status: good, Probe: probe.Probe{Port: 22}},
	} {
		e, err := exec.New(c)
		if e != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTraits checks that the traits are the most careful without a setting.
func TestTraits(t *testing.T) {
	t.Parallel()
	argv := []string{"true"}
	for _, repeat := range []transport.Repeat{transport.RepeatNever, transport.RepeatByState, transport.RepeatByToken} {
		e, err := exec.New(exec.Config{Start: argv, Status: argv, Repeat: repeat})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Traits(transport.Ref{}); got != (transport.Traits{Repeat: repeat}) {
			t.Errorf("%+v", got)
		}
	}
}
