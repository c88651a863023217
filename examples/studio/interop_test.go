package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The tests use the real clients that still have the service's model: Debian's awscli 2.9
// and boto3 1.26. Without them the tests are skipped; with CI=true they fail.
const (
	awscli = "/usr/bin/aws"
	python = "/usr/bin/python3"
)

// missing skips a test whose client is not installed. In CI it fails the test.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// environ is everything that a client sees, without the user's own settings.
func environ(t *testing.T, secret string) []string {
	t.Helper()
	home := t.TempDir()
	return []string{
		"HOME=" + home, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_DEFAULT_REGION=us-west-2",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + home + "/none", "AWS_SHARED_CREDENTIALS_FILE=" + home + "/none",
		"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret,
	}
}

// cli runs aws nimble with arguments, and returns what it printed and whether it
// succeeded.
func cli(t *testing.T, p *program, secret string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), awscli, append([]string{"--endpoint-url", p.url, "--output", "json", "nimble"}, args...)...)
	cmd.Env = environ(t, secret)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("aws nimble %s: %v", strings.Join(args, " "), err)
	}
	if strings.Contains(string(out), "Invalid choice") {
		missing(t, "%s is too new for this: it has no command nimble any more", awscli)
	}
	return string(out), err == nil
}

// session is what the client read in the answer.
type session struct {
	SessionID string            `json:"sessionId"`
	State     string            `json:"state"`
	OwnedBy   string            `json:"ownedBy"`
	CreatedAt string            `json:"createdAt"`
	Tags      map[string]string `json:"tags"`
}

// TestAWSCLI uses /usr/bin/aws to take a session through its life.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(awscli); err != nil {
		missing(t, "no awscli: %v", err)
	}
	p := launch(t, signed(), "-boot", "0", "-stop", "0")
	ask := func(action string, args ...string) session {
		t.Helper()
		out, ok := cli(t, p, secret, append([]string{action, "--studio-id", "lab"}, args...)...)
		var answer struct {
			Session session `json:"session"`
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil || !ok {
			t.Fatalf("%s: %v\n%s", action, err, out)
		}
		return answer.Session
	}
	made := ask("create-streaming-session", "--launch-profile-id", "profile", "--owned-by", "artist",
		"--ec2-instance-type", "g4dn.xlarge", "--streaming-image-id", "image", "--tags", "shot=010")
	if made.State != "CREATE_IN_PROGRESS" || made.OwnedBy != "artist" || made.Tags["shot"] != "010" || made.CreatedAt == "" {
		t.Errorf("create: %+v", made)
	}
	id := []string{"--session-id", made.SessionID}
	for _, step := range []struct{ action, want string }{
		{"get-streaming-session", "READY"},
		{"stop-streaming-session", "STOP_IN_PROGRESS"},
		{"get-streaming-session", "STOPPED"},
		{"start-streaming-session", "START_IN_PROGRESS"},
	} {
		if got := ask(step.action, id...); got.State != step.want || got.SessionID != made.SessionID {
			t.Errorf("%s: %+v, want %s", step.action, got, step.want)
		}
	}
	if out, ok := cli(t, p, secret, append([]string{"wait", "streaming-session-ready", "--studio-id", "lab"}, id...)...); !ok {
		t.Errorf("the waiter streaming-session-ready fails:\n%s", out)
	}
	out, ok := cli(t, p, secret, "list-streaming-sessions", "--studio-id", "lab", "--session-ids", made.SessionID)
	if !ok || strings.Count(out, `"sessionId": "`+made.SessionID+`"`) != 1 {
		t.Errorf("list:\n%s", out)
	}
	if got := ask("delete-streaming-session", id...); got.State != "DELETE_IN_PROGRESS" {
		t.Errorf("delete: %+v", got)
	}
	if out, ok := cli(t, p, secret, append([]string{"wait", "streaming-session-deleted", "--studio-id", "lab"}, id...)...); !ok {
		t.Errorf("the waiter streaming-session-deleted fails:\n%s", out)
	}
}

// TestAWSCLIRefused checks the error that the client names for each mistake.
func TestAWSCLIRefused(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(awscli); err != nil {
		missing(t, "no awscli: %v", err)
	}
	p := launch(t, signed(), "-any", "-quota", "1", "-boot", "1h")
	at := func(action, id string) []string {
		return []string{action, "--studio-id", "lab", "--session-id", id}
	}
	if out, ok := cli(t, p, secret, at("start-streaming-session", "ws-1")...); !ok {
		t.Fatalf("start:\n%s", out)
	}
	for _, test := range []struct {
		secret string
		args   []string
		want   string
	}{
		{"wrong", at("get-streaming-session", "ws-1"), "InvalidSignatureException"},
		{secret, at("get-streaming-session", "missing"), "ResourceNotFoundException"},
		{secret, at("start-streaming-session", "ws-1"), "ConflictException"},
		{secret, at("start-streaming-session", "ws-2"), "ServiceQuotaExceededException"},
		{secret, at("get-streaming-session", "größe"), "ValidationException"},
		{secret, at("get-streaming-session", "a/b"), "ValidationException"},
	} {
		out, ok := cli(t, p, test.secret, test.args...)
		if ok || !strings.Contains(out, "("+test.want+")") {
			t.Errorf("%v: want %s, got\n%s", test.args, test.want, out)
		}
	}
}

// boto3 runs a script of testdata against the program. The script prints what it checks.
func boto3(t *testing.T, script string, args ...string) {
	t.Helper()
	probe := exec.CommandContext(t.Context(), python, "-c", "import boto3; boto3.client('nimble', region_name='us-west-2')")
	probe.Env = environ(t, secret)
	if out, err := probe.CombinedOutput(); err != nil {
		missing(t, "no boto3 that knows nimble: %v\n%s", err, out)
	}
	p := launch(t, signed(), args...)
	cmd := exec.CommandContext(t.Context(), python, script, p.url)
	cmd.Env = environ(t, secret)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "all as expected\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	boto3(t, "testdata/boto3_session.py", "-any", "-boot", "0", "-stop", "0")
}

// TestBoto3LostAnswers checks that boto3 repeats a call by itself, with the token it
// made. The session is started once, and the client sees no error.
func TestBoto3LostAnswers(t *testing.T) {
	t.Parallel()
	boto3(t, "testdata/boto3_lost.py", "-any", "-boot", "0", "-fault", "0.3", "-seed", "7")
}
