package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/rouse-dev/rouse/internal/scale"
)

// fleetSize is how many workstations the studio has.
const fleetSize = 150

// TestFleet wakes 150 workstations behind moto's EC2 with the tool, as a studio would: one
// start command for all, then one run. Then it restores a backup from before the run, on
// an account whose machines were stopped since, and runs that. It also meets a provider
// whose pages never end, and a metadata service that never answers.
func TestFleet(t *testing.T) {
	if scale.Of(t, 0, 0, 1) == 0 {
		t.Skip("a trial of minutes: .ci/long runs it")
	}
	c := newCloud(t)
	tool := newTool(t, c.url)
	tool.write("rouse.toml", "[studio.\"us-west-2\"]\ntransport = \"ec2\"\nregion = \"us-west-2\"\ntag = \"Name\"\n")

	began := time.Now()
	tool.run(0, "start", "us-west-2", fmt.Sprintf("ws-[001-%03d]", fleetSize))
	t.Logf("a start command for %d names in %v", fleetSize, time.Since(began).Round(10*time.Millisecond))
	tool.run(0, "backup", "backup.db")

	began = time.Now()
	tool.run(0, "run", "--until-idle")
	t.Logf("run --until-idle: %d running in %v; calls: %v", c.running(t), time.Since(began).Round(100*time.Millisecond), c.calls())
	if n := c.running(t); n != fleetSize {
		t.Errorf("%d of %d run", n, fleetSize)
	}
	tool.wantPhases("SUCCEEDED")
	if n := c.count("StartInstances"); n > 2 { // a batch has up to 500
		t.Errorf("%d calls of StartInstances for %d names, want one, and one more if a name came late", n, fleetSize)
	}

	// The starts in the backup were not sent when it was made.
	c.stopAll(t)
	c.reset()
	tool.env = append(tool.env, "ROUSE_DB="+filepath.Join(tool.home, "backup.db"))
	began = time.Now()
	tool.run(0, "run", "--until-idle")
	t.Logf("run --until-idle of the backup: %d running in %v; calls: %v", c.running(t), time.Since(began).Round(100*time.Millisecond), c.calls())
	if n := c.running(t); n != fleetSize {
		t.Errorf("%d of %d run after the restore", n, fleetSize)
	}
	tool.wantPhases("SUCCEEDED")

	// Pages without end.
	c.reset()
	c.endless.Store(true)
	began = time.Now()
	out := tool.run(1, "sessions", "us-west-2")
	t.Logf("sessions, of pages without end: %d calls in %v: %s", c.count("DescribeInstances"), time.Since(began).Round(100*time.Millisecond), out)
	c.endless.Store(false)
	if n := c.count("DescribeInstances"); n > 100 {
		t.Errorf("%d calls for one list", n)
	}

	// A metadata service that accepts and never answers.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	tool.env = append(tool.env, "ROUSE_DB="+filepath.Join(tool.home, "silent.db"), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
		"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+silent.Addr().String())
	began = time.Now()
	tool.run(0, "start", "us-west-2", "ws-001")
	t.Logf("start, with a metadata service that never answers: queued in %v", time.Since(began).Round(10*time.Millisecond))
}

// cloud is moto behind a proxy that counts calls.
type cloud struct {
	url     string
	client  *ec2.Client
	endless atomic.Bool // DescribeInstances gives the same next token forever

	mu     sync.Mutex
	counts map[string]int
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "moto_server is missing: pip install 'moto[ec2,server]'")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	moto := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	moto.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := moto.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = moto.Process.Kill(), moto.Wait() })
	target := &url.URL{Scheme: "http", Host: address}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(target.String() + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("moto does not answer: %v", err)
		}
	}
	c := &cloud{counts: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		form, _ := url.ParseQuery(string(body))
		c.mu.Lock()
		c.counts[form.Get("Action")]++
		c.mu.Unlock()
		if c.endless.Load() && form.Get("Action") == "DescribeInstances" {
			_, _ = io.WriteString(w, `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`+
				`<requestId>r</requestId><reservationSet/><nextToken>again</nextToken></DescribeInstancesResponse>`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	c.client = ec2.New(ec2.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(target.String()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "not-a-real-secret", ""),
	})
	for i := range fleetSize {
		_, err := c.client.RunInstances(t.Context(), &ec2.RunInstancesInput{
			ImageId: aws.String("ami-12c6146b"), InstanceType: types.InstanceTypeG5Xlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			TagSpecifications: []types.TagSpecification{{
				ResourceType: types.ResourceTypeInstance,
				Tags:         []types.Tag{{Key: aws.String("Name"), Value: aws.String(fmt.Sprintf("ws-%03d", i+1))}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.stopAll(t)
	return c
}

// ids returns the ids of all instances in a state; "" is any.
func (c *cloud) ids(t *testing.T, state string) []string {
	t.Helper()
	in := &ec2.DescribeInstancesInput{}
	if state != "" {
		in.Filters = []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{state}}}
	}
	var ids []string
	for pages := ec2.NewDescribeInstancesPaginator(c.client, in); pages.HasMorePages(); {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, *i.InstanceId)
			}
		}
	}
	return ids
}

func (c *cloud) running(t *testing.T) int { t.Helper(); return len(c.ids(t, "running")) }

func (c *cloud) stopAll(t *testing.T) {
	t.Helper()
	if _, err := c.client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: c.ids(t, "")}); err != nil {
		t.Fatal(err)
	}
	if n := c.running(t); n != 0 {
		t.Fatalf("%d instances run", n)
	}
}

func (c *cloud) count(action string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[action]
}

func (c *cloud) calls() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.counts)
}

func (c *cloud) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.counts)
}

// tool is the command-line tool, in a home of its own.
type tool struct {
	t    *testing.T
	path string
	home string
	env  []string
}

func newTool(t *testing.T, endpoint string) *tool {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, "rouse")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/rouse-dev/rouse/cmd/rouse").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return &tool{t: t, path: path, home: home, env: []string{
		"HOME=" + home, "TZ=UTC", "ROUSE_DB=" + filepath.Join(home, "rouse.db"), "AWS_ENDPOINT_URL=" + endpoint,
		"AWS_ACCESS_KEY_ID=AKIDTEST", "AWS_SECRET_ACCESS_KEY=not-a-real-secret", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "none"),
	}}
}

func (u *tool) write(name, text string) {
	u.t.Helper()
	if err := os.WriteFile(filepath.Join(u.home, name), []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

// run runs the tool, checks its exit status, and returns what it printed.
func (u *tool) run(want int, args ...string) string {
	u.t.Helper()
	ctx, done := context.WithTimeout(u.t.Context(), 5*time.Minute)
	defer done()
	cmd := exec.CommandContext(ctx, u.path, append([]string{"--config", filepath.Join(u.home, "rouse.toml")}, args...)...)
	cmd.Dir, cmd.Env = u.home, u.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		u.t.Fatalf("rouse %q: %v, want exit status %d\n%s", args, err, want, out)
	}
	return string(out)
}

// wantPhases checks that every operation has ended in one phase.
func (u *tool) wantPhases(phase string) {
	u.t.Helper()
	n := 0
	for line := range strings.Lines(u.run(0, "ls", "--json")) {
		var op struct{ Phase, SessionID, Reason string }
		if err := json.Unmarshal([]byte(line), &op); err != nil {
			u.t.Fatalf("%q: %v", line, err)
		}
		n++
		if op.Phase != phase {
			u.t.Errorf("%s is %s (%s)", op.SessionID, op.Phase, op.Reason)
		}
	}
	if n != fleetSize {
		u.t.Errorf("%d operations, want %d", n, fleetSize)
	}
}
