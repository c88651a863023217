//go:build unix

package exec_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/probe"
)

var ref = transport.Ref{StudioID: "lab", SessionID: "ws-1"}

// shell makes a Transport whose commands are one text each.
func shell(t *testing.T, text string, env ...string) *exec.Transport {
	t.Helper()
	e, err := exec.New(exec.Config{
		Start: []string{text}, Status: []string{text}, Stop: []string{text}, Shell: true, Env: env,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func start(t *testing.T, e *exec.Transport) (transport.Session, error) {
	t.Helper()
	return e.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
}

func kindOf(t *testing.T, err error) transport.Kind {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is not an *transport.Error", err, err)
	}
	return e.Kind
}

// TestExitStatuses is the table of the documentation.
func TestExitStatuses(t *testing.T) {
	t.Parallel()
	kinds := map[int]transport.Kind{
		64: transport.KindInvalid, 68: transport.KindNotFound, 69: transport.KindUnreachable, 70: transport.KindInternal, 73: transport.KindCapacity,
		75: transport.KindThrottled, 76: transport.KindUnreachable, 77: transport.KindAccessDenied, 78: transport.KindCredentials,
	}
	for _, status := range []int{1, 2, 3, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 126, 127, 255} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			e := shell(t, fmt.Sprintf("echo because >&2; exit %d", status))
			want := kinds[status]
			_, err := start(t, e)
			wantRefusal(t, err, want, want == transport.KindUnreachable)
			wantScope(t, err, status != 76 && (want == transport.KindUnreachable || want == transport.KindUnknown))
			if !strings.Contains(err.Error(), fmt.Sprintf("the start command of lab/ws-1: exit status %d: because", status)) {
				t.Errorf("%v does not say what happened", err)
			}
			_, err = e.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: "evening"})
			wantRefusal(t, err, want, want == transport.KindUnreachable)
			wantScope(t, err, status != 76 && (want == transport.KindUnreachable || want == transport.KindUnknown))
			got, err := e.Get(t.Context(), ref)
			if status == 3 {
				if err != nil || got.State != fsm.StateStopped {
					t.Errorf("Get: %+v, %v", got, err)
				}
				return
			}
			wantRefusal(t, err, want, want == transport.KindUnreachable)
			wantScope(t, err, status != 76 && (want == transport.KindUnreachable || want == transport.KindUnknown))
		})
	}
}

// wantScope checks whether an error concerns only one session.
func wantScope(t *testing.T, err error, onlySession bool) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.OnlySession != onlySession {
		t.Errorf("%+v: OnlySession is not %v", err, onlySession)
	}
}

func wantRefusal(t *testing.T, err error, kind transport.Kind, notSent bool) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != kind || e.NotSent != notSent {
		t.Errorf("%+v, want %v (not sent: %v)", err, kind, notSent)
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, test := range map[string]struct {
		command string
		want    transport.Session // what Status reports
	}{
		"nothing":      {`true`, transport.Session{State: fsm.StateReady}},
		"talk":         {`echo Chassis Power is on`, transport.Session{State: fsm.StateReady}},
		"empty object": {`echo "{}"`, transport.Session{State: fsm.StateReady}},
		"state": {`echo booting; echo '{"state": "START_IN_PROGRESS", "statusCode": "POST", "statusMessage": "3 of 7"}'; echo`,
			transport.Session{State: fsm.StateStartInProgress, StatusCode: "POST", StatusMessage: "3 of 7"}},
		"times": {`echo '{"startedAt": "2026-03-04T06:06:07+01:00", "updatedAt": "2026-03-04T05:06:07Z", "more": 1}'`,
			transport.Session{State: fsm.StateReady, StartedAt: at, UpdatedAt: at}},
		"endpoint": {`echo '{"endpoint": {"name": "rdp", "host": "10.0.0.3", "port": 3389}}'`, transport.Session{
			State: fsm.StateReady, Endpoints: []transport.Endpoint{{Name: "rdp", Host: "10.0.0.3", Port: 3389}}}},
		"stopped, and why":   {`echo '{"statusMessage": "by hand"}'; exit 3`, transport.Session{State: fsm.StateStopped, StatusMessage: "by hand"}},
		"stopped, otherwise": {`echo '{"state": "START_FAILED"}'; exit 3`, transport.Session{State: fsm.StateStartFailed}},
		"hostile":            {`echo '{"statusMessage": "\u001b[31mred\u202e\nline"}'`, transport.Session{State: fsm.StateReady, StatusMessage: "[31mred line"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := shell(t, test.command).Get(t.Context(), ref)
			test.want.Ref = ref
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", test.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func TestLineOfStart(t *testing.T) {
	t.Parallel()
	got, err := start(t, shell(t, `echo '{"state": "READY"}'`))
	if err != nil || got.State != fsm.StateReady {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = start(t, shell(t, "true"))
	if err != nil || got.State != fsm.StateStartInProgress || got.Ref != ref {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		command string
		kind    transport.Kind
		text    string
	}{
		"named":            {`echo '{"error": "QuotaExceeded", "message": "two of two"}'; exit 1`, transport.KindQuotaExceeded, "two of two"},
		"named, exit 0":    {`echo '{"error": "Conflict"}'`, transport.KindConflict, "the start command of lab/ws-1"},
		"unreachable":      {`echo '{"error": "Unreachable"}'; exit 1`, transport.KindUnreachable, ""},
		"unknown name":     {`echo '{"error": "Sorry", "message": "no"}'; exit 75`, transport.KindUnknown, `"Sorry" is not a kind of error: no`},
		"unknown state":    {`echo '{"state": "running"}'`, transport.KindUnknown, `"running" is not a state of a session`},
		"no JSON":          {`echo '{state: READY}'`, transport.KindUnknown, "its last line cannot be read"},
		"wrong type":       {`echo '{"state": 7}'`, transport.KindUnknown, "its last line cannot be read"},
		"cut":              {`printf '{"message": "%70000s"}' x`, transport.KindUnknown, "its last line is longer than 65536 bytes"},
		"state, exit 1":    {`echo '{"state": "READY"}'; exit 1`, transport.KindUnknown, "exit status 1"},
		"killed":           {`echo '{"error": "Throttled"}'; kill -9 $$`, transport.KindUnknown, "signal: killed"},
		"killed, exit 75":  {`kill -TERM $$; exit 75`, transport.KindUnknown, "signal: terminated"},
		"last line counts": {`echo '{"error": "Throttled"}'; echo done; exit 1`, transport.KindUnknown, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, shell(t, test.command))
			wantRefusal(t, err, test.kind, test.kind == transport.KindUnreachable)
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %q", err, test.text)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "-1": 0, "0": 0, "9223372036854775807": 24 * time.Hour,
	} {
		_, err := start(t, shell(t, `echo '{"error": "Throttled", "retryAfter": `+text+`}'`))
		var e *transport.Error
		if !errors.As(err, &e) || e.RetryAfter != want || e.Kind != transport.KindThrottled {
			t.Errorf("%s: %+v, want %v", text, err, want)
		}
	}
}

// anyCharacter allows every id that is valid elsewhere, except one with a leading "-".
const anyCharacter = `!"#$%&'()*,/;<>?[\]^` + "`{|}~"

// TestIDsStayArguments checks that no character of an id reaches the first shell, even
// where Config.IDCharacters allows it.
func TestIDsStayArguments(t *testing.T) {
	t.Parallel()
	const print = `printf '{"statusMessage": "%s"}\n' "$ROUSE_STUDIO|$ROUSE_SESSION|$1"`
	for _, id := range []string{"$(id)", "`id`", ";id", "a'b", "a&&b", "*", "~", "$ROUSE_STUDIO", "{studio}", "{token}", "%s", "a|b", "#x"} {
		hostile := transport.Ref{StudioID: "lab", SessionID: id}
		argv := []string{"sh", "-c", print, "sh", "{session}"}
		e, err := exec.New(exec.Config{Start: argv, Status: argv, IDCharacters: anyCharacter})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Get(t.Context(), hostile)
		if want := "lab|" + id + "|" + id; err != nil || got.StatusMessage != want {
			t.Errorf("argv: %q, %v, want %q", got.StatusMessage, err, want)
		}
		if e, err = exec.New(exec.Config{Start: []string{print}, Status: []string{print}, Shell: true, IDCharacters: anyCharacter}); err != nil {
			t.Fatal(err)
		}
		got, err = e.Get(t.Context(), hostile)
		if want := "lab|" + id + "|"; err != nil || got.StatusMessage != want {
			t.Errorf("shell: %q, %v, want %q", got.StatusMessage, err, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	argv := []string{"sh", "-c", `printf '{"statusMessage": "%s"}\n' "$*"`, "sh", "{studio}/{session}", "-t{token}", "{}", "{a: 1}", "{Token}"}
	e, err := exec.New(exec.Config{Start: argv, Status: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	argv[4] = "changed by the caller"
	got, err := start(t, e)
	if want := "lab/ws-1 -tmonday {} {a: 1} {Token}"; err != nil || got.StatusMessage != want {
		t.Errorf("%q, %v, want %q", got.StatusMessage, err, want)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := exec.New(exec.Config{
		Start: []string{"touch", "{session}"}, Status: []string{"touch", "x{session}", "-{session}"}, Dir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Start(t.Context(), transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "--reference=x"}, ClientToken: "monday"})
	var refused *transport.Error
	if !errors.As(err, &refused) || refused.Kind != transport.KindInvalid || !refused.NotSent {
		t.Errorf("an id that is an option: %v", err)
	}
	if _, err := start(t, e); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ws-1")); err != nil {
		t.Error(err)
	}
}

// TestProcessGroup checks that the children of a command are killed with it when its time
// is over.
func TestProcessGroup(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	e := shell(t, `sleep 1000 & echo $! >"$PID_FILE.new"; mv "$PID_FILE.new" "$PID_FILE"; wait`, "PID_FILE="+pidFile)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := e.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "monday"})
		done <- err
	}()
	pid := waitForPID(t, pidFile)
	cancel()
	err := <-done
	wantRefusal(t, err, transport.KindUnknown, false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v hides that the caller gave up", err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for syscall.Kill(pid, 0) == nil && !isGone(pid) { // init may reap it later
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives on", pid)
		}
		time.Sleep(time.Millisecond)
	}
}

func waitForPID(t *testing.T, file string) int {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if text, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the command did not begin")
	return 0
}

// isGone reports whether a process has ended.
func isGone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// TestLeftRunning checks a command that leaves a process running that keeps its output
// open. Its answer is read all the same.
func TestLeftRunning(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	got, err := start(t, shell(t, `sleep 1000 & echo $! >"$PID_FILE"; echo '{"state": "READY"}'`, "PID_FILE="+pidFile))
	pid := waitForPID(t, pidFile)
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err != nil || got.State != fsm.StateReady {
		t.Errorf("%+v, %v", got, err)
	}
	if syscall.Kill(pid, 0) != nil {
		t.Error("what the command left running was killed")
	}
}

// TestFloods checks that a full pipe does not block a command that prints without end.
// The end of its output is kept.
func TestFloods(t *testing.T) {
	t.Parallel()
	got, err := shell(t, `head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2; echo; echo '{"statusMessage": "the end"}'`).Get(t.Context(), ref)
	if err != nil || got.StatusMessage != "the end" {
		t.Errorf("%.100q, %v", got.StatusMessage, err)
	}
	_, err = start(t, shell(t, `yes | head -c 100000 >&2; printf '\033[31mreally\r\n\377' >&2; exit 64`))
	if err == nil || len(err.Error()) > 500 || !strings.HasSuffix(err.Error(), "y y [31mreally \uFFFD") {
		t.Errorf("%q", err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	for _, name := range []string{
		"IPMI_PASSWORD", "API_TOKEN", "aws_secret_access_key", "SSH_PASSPHRASE", "SSHPASS", "MYSQL_PWD", "IPMI_PASS", "GOOGLE_CREDENTIALS",
	} {
		for _, command := range []string{
			`echo "login as $%s failed" >&2; exit 77`,
			`echo "{\"error\": \"AccessDenied\", \"message\": \"login as $%s failed\"}"`,
			`echo "{\"state\": \"$%s\"}"`,
		} {
			for _, other := range []string{"OTHER_TOKEN=", "OTHER_TOKEN=hunter2"} { // no secret, and a part of one
				_, err := start(t, shell(t, fmt.Sprintf(command, name), name+"="+secret, other))
				if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Count(err.Error(), "[secret]") != 1 {
					t.Errorf("%s, %s: %v", name, other, err)
				}
			}
		}
	}
}

// TestSecretsInLine checks that a secret is hidden if JSON escapes some of its
// characters.
func TestSecretsInLine(t *testing.T) {
	t.Parallel()
	for secret, escaped := range map[string]string{
		`hunter"2-hunter"2`:     `hunter\"2-hunter\"2`,
		`hunter\2-hunter\2`:     `hunter\\2-hunter\\2`,
		"hunter\t2-hunter\t2":   `hunter\t2-hunter\t2`,
		"hunter\n2-hunter\n2":   `hunter\n2-hunter\n2`,
		"hünter2-hünter2":       `h\u00fcnter2-h\u00fcnter2`,
		"hunter2/hunter2":       `hunter2\/hunter2`,
		"hunter2<hunter2":       `hunter2\u003chunter2`,
		"hunter2-hunter2":       `hunter2-hunter2`,
		"abcdef\"hunter2":       `abcdef\"hunter2`, // contains the value of another variable
		"2026-11-28\"hunter2":   `2026-11-28\"hunter2`,
		`by\nhunter2`:           `by\nhunter2`, // as it is, which is another JSON value
		`by"hunter2`:            `by"hunter2`,  // as it is, which is not JSON
		"by\xffhunter2":         "by\xffhunter2",
		"by-hunter2\nhunter2\n": "by-hunter2\nhunter2\n",
	} {
		for _, line := range []string{
			`{"error": "AccessDenied", "message": "login as %s failed"}`,
			`{"error": "as %s", "message": "failed"}`,
			`{"state": "%s"}`,
			`{"startedAt": "%s"}`,
			`{"statusMessage": "%[1]s", "statusCode": "%[1]s", "endpoint": {"name": "%[1]s", "host": "%[1]s", "url": "https://%[1]s/"}}`,
		} {
			e := shell(t, `printf '%s\n' "$LINE"`, "API_TOKEN="+secret, "OTHER_TOKEN=abcdef", "LINE="+fmt.Sprintf(line, escaped))
			got, err := start(t, e)
			text := fmt.Sprintf("%q %q %+v %v", got.StatusCode, got.StatusMessage, got.Endpoints, err)
			if strings.Contains(text, "unter") || !strings.Contains(text, "[secret]") && !strings.Contains(text, "cannot be read") {
				t.Errorf("%q in %s: %s", secret, line, text)
			}
		}
	}
}

// TestSecretsBetweenTheLines checks secrets whose text differs in the message. The
// program prints characters within it that are dropped, or only one of its lines.
func TestSecretsBetweenTheLines(t *testing.T) {
	t.Parallel()
	var wide string // as a Windows program prints it
	for _, r := range "hunter2-hunter2" {
		wide += string(r) + `\000`
	}
	for what, command := range map[string]string{
		"two bytes each":       `printf '%s' >&2; exit 77`,
		"two bytes each, long": `printf 'no%%5000dlogin %s' 1 >&2; exit 77`,
		"one more":             `printf 'login as hunt\000er2-hunter2' >&2; exit 77; : %s`,
		"invisible":            `printf 'login as hunter2\342\200\213-hunter2' >&2; exit 77; : %s`,
		"in JSON":              `echo '{"error": "AccessDenied", "message": "hunter\u00002-hunter2"}'; : %s`,
		"in a state":           `echo '{"state": "hunter2\u200b-hunter2"}'; : %s`,
		"one line":             `echo "a line is wrong: hunter3-hunter3" >&2; exit 77; : %s`,
		"other line ends":      `printf 'begin here\r\nhunter3-hunter3\r\n' >&2; exit 77; : %s`,
	} {
		_, err := start(t, shell(t, fmt.Sprintf(command, wide), "SSHPASS=hunter2-hunter2", "SSH_KEY=begin here\nhunter3-hunter3\nend\n"))
		if err == nil || strings.Contains(err.Error(), "unter") || !strings.Contains(err.Error(), "[secret]") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSecretsAreLong checks that the kept end of a command's output may begin inside a
// secret.
func TestSecretsAreLong(t *testing.T) {
	t.Parallel()
	var key, long string
	for i := range 400 {
		key += fmt.Sprintf("hunter2+%d\n", i)
		long = key[max(0, len(key)-320):]
	}
	for name, command := range map[string]string{
		"once":         `echo "$SSH_KEY" >&2; exit 77`,
		"twice":        `echo "$SSH_KEY $SSH_KEY" >&2; exit 77`,
		"and others":   `echo "$SSH_KEY" >&2; for i in 1 2 3 4 5; do echo "$API_TOKEN" >&2; done; exit 77`,
		"shorter ones": `for i in 1 2 3 4 5 6 7 8 9; do echo "$API_TOKEN" >&2; done; exit 77`,
	} {
		_, err := start(t, shell(t, command, "SSH_KEY="+key, "API_TOKEN="+long))
		wantRefusal(t, err, transport.KindAccessDenied, false)
		if err == nil || strings.Contains(err.Error(), "unter") || !strings.Contains(err.Error(), "[secret]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ROUSE_TEST_INHERITED", "yes")
	t.Setenv("ROUSE_TEST_CHANGED", "no")
	t.Setenv("ROUSE_SESSION", "another")
	e := shell(t, `echo "{\"statusMessage\": \"$ROUSE_TEST_INHERITED $ROUSE_TEST_CHANGED $ROUSE_SESSION $ROUSE_CLIENT_TOKEN\"}"; read x && exit 1; exit 0`,
		"ROUSE_TEST_CHANGED=changed")
	got, err := start(t, e)
	if err != nil || got.StatusMessage != "yes changed ws-1 monday" {
		t.Errorf("%q, %v", got.StatusMessage, err)
	}
}

func TestNoProgram(t *testing.T) {
	t.Parallel()
	argv := []string{filepath.Join(t.TempDir(), "nobody")}
	e, err := exec.New(exec.Config{Start: argv, Status: argv})
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t, e)
	wantRefusal(t, err, transport.KindUnreachable, true)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), argv[0]) {
		t.Errorf("%v does not say what is missing", err)
	}
	_, err = e.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: "evening"})
	wantRefusal(t, err, transport.KindInvalid, true)
}

func TestProbe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	for name, test := range map[string]struct{ status, host string }{
		"by Host":    {"true", "127.0.0.1"},
		"by session": {"true", ""},
		"by line":    {`echo '{"endpoint": {"name": "rdp", "host": "127.0.0.1"}}'`, "nowhere.invalid"},
	} {
		e, err := exec.New(exec.Config{
			Start: []string{"true"}, Status: []string{test.status}, Shell: true, Host: test.host,
			Probe: probe.Probe{Kind: probe.KindTCP, Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		at := transport.Ref{StudioID: "lab", SessionID: "127.0.0.1"}
		if got, err := e.Get(t.Context(), at); err != nil || got.State != fsm.StateReady {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_ = l.Close()
	e, err := exec.New(exec.Config{ // port 1, because another test may get the port that was closed
		Start: []string{"true"}, Status: []string{"true"}, Host: "127.0.0.1", Probe: probe.Probe{Kind: probe.KindTCP, Port: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Get(t.Context(), ref); err != nil || got.State != fsm.StateStartInProgress || got.StatusCode != probe.CodeUnanswered {
		t.Errorf("no server answers: %+v, %v", got, err)
	}
}

// TestSecretsAreMarked checks that the Config can hide a variable whose name does not
// look like a secret, wherever it was set. PWD is shown.
func TestSecretsAreMarked(t *testing.T) {
	t.Setenv("BMC_LOGIN", "hunter2-hunter2")
	for _, name := range []string{"BMC_LOGIN", "RACK_LOGIN"} {
		for _, command := range []string{
			`echo "login as $%s failed in $PWD" >&2; exit 77`,
			`echo "{\"error\": \"AccessDenied\", \"message\": \"login as $%s failed in $PWD\"}"`,
		} {
			text := []string{fmt.Sprintf(command, name)}
			e, err := exec.New(exec.Config{
				Start: text, Status: text, Shell: true, Dir: "/usr", Secrets: []string{"BMC_LOGIN", "RACK_LOGIN"},
				Env: []string{"RACK_LOGIN=hunter2-hunter3", "PWD=/usr", "OLDPWD=/usr/share"},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = start(t, e)
			if err == nil || strings.Contains(err.Error(), "hunter") || !strings.HasSuffix(err.Error(), "login as [secret] failed in /usr") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestScope checks whether an error concerns the session or its provider. The scope in a
// line decides. Otherwise a failure concerns the session, and a refusal that every
// session would get concerns the provider.
func TestScope(t *testing.T) {
	t.Parallel()
	for line, only := range map[string]bool{
		`{"error": "Unreachable"}`:                      true,
		`{"error": "Unreachable", "scope": "provider"}`: false,
		`{"error": "Unreachable", "scope": "session"}`:  true,
		`{"error": "Throttled"}`:                        false,
		`{"error": "Throttled", "scope": "session"}`:    true,
		`{"error": "Credentials"}`:                      false,
		`{"error": "NoSuchError"}`:                      true,
		`{"state": "NO_SUCH_STATE"}`:                    true,
		`{not JSON`:                                     true,
	} {
		_, err := start(t, shell(t, "echo '"+line+"'"))
		wantScope(t, err, only)
	}
	_, err := start(t, shell(t, `echo '{"error": "Unreachable", "scope": "planet"}'`))
	wantRefusal(t, err, transport.KindUnknown, false)
	_, err = start(t, shell(t, "kill -9 $$"))
	wantScope(t, err, true)
	argv := []string{filepath.Join(t.TempDir(), "missing")}
	e, err := exec.New(exec.Config{Start: argv, Status: argv})
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t, e) // no session's command can run
	wantScope(t, err, false)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = shell(t, "sleep 1000").Get(ctx, ref) // a management controller that does not answer
	wantRefusal(t, err, transport.KindUnknown, false)
	wantScope(t, err, true)
}
