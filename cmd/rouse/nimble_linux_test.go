package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// boto3Waits starts a session that an AWS client asked for before, which starts nothing
// more, and waits until it is READY.
const boto3Waits = `
import boto3, sys
nimble = boto3.client("nimble", endpoint_url=sys.argv[1])
ws = {"studioId": "lab", "sessionId": "ws-1"}
again = nimble.start_streaming_session(clientToken="monday", **ws)["session"]
assert again["state"] in ("START_IN_PROGRESS", "READY"), again
nimble.get_waiter("streaming_session_ready").wait(WaiterConfig={"Delay": 1, "MaxAttempts": 30}, **ws)
assert any(s["sessionId"] == "ws-1" for s in nimble.list_streaming_sessions(studioId="lab")["sessions"])
`

// TestNimbleClients: an AWS client that knows nothing of rouse asks for a start. The start is
// acknowledged while the provider is offline, and survives a SIGKILL of the server.
func TestNimbleClients(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"/usr/bin/aws", "/usr/bin/python3"} {
		if _, err := os.Stat(program); err != nil {
			missing(t, "no AWS client: "+err.Error())
		}
	}
	provider, env := fixture(t, shortBoot)
	config := filepath.Join(t.TempDir(), "rouse.toml")
	err := os.WriteFile(config, []byte(`
[studio.'*']
transport = "nimble"
[serve.keys.render-bot]
access_key_id = "AKIDBOT"
secret_env = "BOT_SECRET"
role = "operator"
scope = ["lab/ws-*"]
[serve.keys.dashboard]
access_key_id = "AKIDVIEW"
secret_env = "VIEW_SECRET"
role = "viewer"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "ROUSE_CONFIG="+config, "BOT_SECRET=bot-secret-of-a-test", "VIEW_SECRET=view-secret-of-a-test")
	client := func(id, secret, program string, args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), program, args...)
		home := t.TempDir()
		c.Env = []string{"HOME=" + home, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_DEFAULT_REGION=us-west-2",
			"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
		out, err := c.CombinedOutput()
		return string(out), err
	}
	start := func(url, id, secret, session string) (string, error) {
		return client(id, secret, "/usr/bin/aws", "--endpoint-url", url, "nimble", "start-streaming-session",
			"--studio-id", "lab", "--session-id", session, "--client-token", "monday")
	}
	p, url := served(t, env)
	if out, err := start(url, "AKIDBOT", "bot-secret-of-a-test", "ws-1"); err != nil || !strings.Contains(out, `"state": "START_IN_PROGRESS"`) {
		t.Fatalf("aws nimble start-streaming-session: %v\n%s", err, out)
	}
	for _, row := range []struct{ id, secret, session, want string }{
		{"AKIDBOT", "wrong", "ws-1", "InvalidSignatureException"},
		{"AKIDNOBODY", "bot-secret-of-a-test", "ws-1", "InvalidSignatureException"},
		{"AKIDBOT", "bot-secret-of-a-test", "other-1", "AccessDeniedException"},
		{"AKIDVIEW", "view-secret-of-a-test", "ws-2", "AccessDeniedException"},
		{"AKIDBOT", "bot-secret-of-a-test", "ws-2", "ConflictException"}, // with the token of ws-1
	} {
		if out, err := start(url, row.id, row.secret, row.session); err == nil || !strings.Contains(out, row.want) {
			t.Errorf("%s starts %s: want %s, got %v\n%s", row.id, row.session, row.want, err, out)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if err := provider.up(); err != nil {
		t.Fatal(err)
	}
	p, url = served(t, env)
	if out, err := client("AKIDBOT", "bot-secret-of-a-test", "/usr/bin/python3", "-c", boto3Waits, url); err != nil {
		t.Errorf("boto3: %v\n%s", err, out)
	}
	show := launch(t, env, "ls", "--json")
	show.exit(0)
	for _, want := range []string{`"requestedBy":"render-bot"`, `"source":"nimble"`, `"clientToken":"monday"`} {
		if !strings.Contains(show.out.String(), want) {
			t.Errorf("the operation has no %s:\n%s", want, show.out)
		}
	}
	p.interrupt()
	p.exit(0)
	if got := provider.effects("lab", "ws-1"); got != 1 {
		t.Errorf("the session was started %d times, want once", got)
	}
	if got := provider.effects("lab", "ws-2"); got != 0 {
		t.Errorf("a viewer started a session")
	}
}
