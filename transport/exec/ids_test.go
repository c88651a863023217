//go:build unix

package exec_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
)

// fakeSSH replaces ssh and the machine that ssh reaches. It records its arguments, and
// runs the command of a ProxyCommand option on this machine. A shell reads its command
// line again, as sshd's would.
const fakeSSH = `#!/bin/sh
printf '%s\n' "$*" >>"$LOG"
while :; do
  case $1 in
  --) shift; break ;;
  -oProxyCommand=*) eval "${1#-oProxyCommand=}"; exit 0 ;;
  -*) shift ;;
  *) break ;;
  esac
done
shift
eval "$*"
`

// far has a folder with programs for PATH, and a log of their arguments.
type far struct{ dir, log string }

func newFar(t *testing.T) far {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"ssh": fakeSSH, "virsh": "#!/bin/sh\n"} {
		if err := child.WriteProgram(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return far{dir: dir, log: filepath.Join(dir, "log")}
}

// open returns a Transport whose commands find the fake ssh first in PATH.
func (f far) open(t *testing.T, c exec.Config) *exec.Transport {
	t.Helper()
	c.Dir, c.Env = f.dir, []string{"LOG=" + f.log, "PATH=" + f.dir + ":" + os.Getenv("PATH")}
	for _, argv := range []*[]string{&c.Start, &c.Status, &c.Stop} {
		if len(*argv) > 0 && (*argv)[0] == "ssh" { // the shell looks up programs in this process's own PATH
			*argv = append([]string{filepath.Join(f.dir, "ssh")}, (*argv)[1:]...)
		}
	}
	e, err := exec.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// reached returns the arguments of the calls of ssh, one call a line.
func (f far) reached(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(f.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func (f far) wantNoEffect(t *testing.T, what string) {
	t.Helper()
	if text := f.reached(t); text != "" {
		t.Errorf("%s: ssh was run with %q", what, text)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "pwned")); err == nil {
		t.Errorf("%s: the id ran a command", what)
	}
}

// TestIDsRunNothing checks that no id and no token makes ssh, or the remote shell, run a
// command.
func TestIDsRunNothing(t *testing.T) {
	t.Parallel()
	const good, option, command = "ws-1", "-oProxyCommand=touch${IFS}pwned", "ws-1;touch${IFS}pwned"
	ssh := []string{"ssh", "hv1", "virsh", "start", "{studio}", "{session}", "{token}"}
	for name, c := range map[string]exec.Config{
		"shell": {Shell: true, Start: []string{`ssh "$ROUSE_SESSION" true "$ROUSE_STUDIO" "$ROUSE_CLIENT_TOKEN"`},
			Status: []string{`ssh "$ROUSE_SESSION" true "$ROUSE_STUDIO"`}, Stop: []string{`ssh "$ROUSE_SESSION" poweroff "$ROUSE_CLIENT_TOKEN"`}},
		"arguments": {Start: ssh, Status: ssh, Stop: ssh},
	} {
		for _, in := range []transport.StartInput{
			{Ref: transport.Ref{StudioID: "lab", SessionID: option}, ClientToken: good},
			{Ref: transport.Ref{StudioID: "lab", SessionID: command}, ClientToken: good},
			{Ref: transport.Ref{StudioID: option, SessionID: good}, ClientToken: good},
			{Ref: transport.Ref{StudioID: "lab-`touch${IFS}pwned`", SessionID: good}, ClientToken: good},
			{Ref: transport.Ref{StudioID: "lab", SessionID: good}, ClientToken: option},
			{Ref: transport.Ref{StudioID: "lab", SessionID: good}, ClientToken: "$(touch${IFS}pwned)"},
		} {
			f := newFar(t)
			e := f.open(t, c)
			_, err := e.Start(t.Context(), in)
			wantRefusal(t, err, transport.KindInvalid, true)
			_, err = e.Stop(t.Context(), transport.StopInput{Ref: in.Ref, ClientToken: in.ClientToken})
			wantRefusal(t, err, transport.KindInvalid, true)
			wantRefusal(t, e.CheckStart(in), transport.KindInvalid, true)
			if in.ClientToken == good {
				_, err = e.Get(t.Context(), in.Ref)
				wantRefusal(t, err, transport.KindInvalid, true)
			}
			f.wantNoEffect(t, name+", "+in.Ref.String()+", "+in.ClientToken)
		}
	}
}

// TestIDsOfWords checks that ids of the documented characters reach the remote shell
// unchanged.
func TestIDsOfWords(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	argv := []string{"ssh", "--", "hv1", "virsh", "start", "{session}", "{token}"}
	e := f.open(t, exec.Config{Start: argv, Status: argv})
	in := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "A.z_0-9:@+="}, ClientToken: "render:2026-11-30"}
	if _, err := e.Start(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got, want := f.reached(t), "-- hv1 virsh start A.z_0-9:@+= render:2026-11-30\n"; got != want {
		t.Errorf("ssh was run with %q, want %q", got, want)
	}
	for _, id := range []string{"a;b", "a$b", "a`b", "a|b", "a&b", "a(b", "a<b", "a>b", "a*b", "a?b", "a[b", "a{b", "a~b", "a#b", "a'b", `a"b`, "a!b", "a%b", "a^b", "a,b"} {
		err := e.CheckStart(transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: id}, ClientToken: "t"})
		if !errors.Is(err, transport.KindInvalid) || !strings.Contains(err.Error(), "id_characters") {
			t.Errorf("%s: %v, want a refusal that names the setting", id, err)
		}
	}
}

// TestIDCharacters checks that a setting allows more characters, and never a leading "-".
func TestIDCharacters(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	argv := []string{"ssh", "--", "hv1", "virsh", "start", "{session}"}
	e := f.open(t, exec.Config{Start: argv, Status: argv, IDCharacters: "#,"})
	in := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws#1,b"}, ClientToken: "monday"}
	if _, err := e.Start(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got, want := f.reached(t), "-- hv1 virsh start ws#1,b\n"; got != want {
		t.Errorf("ssh was run with %q, want %q", got, want)
	}
	for _, id := range []string{"-ws#1", "ws;1"} {
		in.SessionID = id
		_, err := e.Start(t.Context(), in)
		wantRefusal(t, err, transport.KindInvalid, true)
	}
	for _, bad := range []string{" ", "é", "\x00", "\n"} {
		if _, err := exec.New(exec.Config{Start: argv, Status: argv, IDCharacters: bad}); err == nil || !strings.Contains(err.Error(), "printable ASCII") {
			t.Errorf("IDCharacters %q: %v", bad, err)
		}
	}
}
