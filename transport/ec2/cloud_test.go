package ec2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// moto runs one moto_server for all tests of the package. The child ends when the
// test closes its standard input, however the test ends.
var moto = sync.OnceValues(func() (*server, error) {
	motoStarted.Store(true)
	path, err := exec.LookPath("moto_server")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	cmd := exec.Command("/bin/sh", "-c", `"$0" -H 127.0.0.1 -p "$1" >/dev/null 2>&1 </dev/null & cat >/dev/null; kill $!; wait`, path, strconv.Itoa(port))
	s := &server{cmd: cmd, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if s.end, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 300 { // a real process needs real time
		resp, err := http.Get(s.url + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
			return s, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.stop()
	return nil, errors.New("moto_server does not answer within 30 s")
})

var motoStarted atomic.Bool

type server struct {
	cmd *exec.Cmd
	end io.Closer
	url string
}

func (s *server) stop() {
	_ = s.end.Close()
	_ = s.cmd.Wait()
}

// fault is what the proxy does to one call instead of forwarding it.
type fault struct {
	drop, lose, hang bool // cut before the effect; cut after it; never answer
	after            bool // the error comes after the effect
	status           int
	code, message    string
	then             func() // called before the connection is cut
}

// cut ends a call without an answer.
func (f *fault) cut() {
	if f.then != nil {
		f.then()
	}
	panic(http.ErrAbortHandler)
}

// request is a call that the proxy received.
type request struct {
	action string
	ids    []string
	token  string
	to     string // the new instance type, or the tag's value
}

func requestOf(form url.Values) request {
	req := request{action: form.Get("Action"), token: form.Get("NextToken"), to: form.Get("InstanceType.Value") + form.Get("Tag.1.Value")}
	req.ids = append(listOf(form, "InstanceId"), listOf(form, "ResourceId")...)
	if id := form.Get("InstanceId"); id != "" {
		req.ids = []string{id}
	}
	return req
}

// cloud is moto behind a proxy that counts effects and adds what moto lacks.
type cloud struct {
	t      *testing.T
	moto   string
	url    string
	region string         // shared with other tests, because moto has only AWS's regions
	direct *awsec2.Client // calls moto without the proxy
	wire   *offlining     // the network of all hosts

	// boot is for how long a started instance is shown as pending. For stale it is shown
	// as it was before.
	boot, stale time.Duration
	// The proxy calls fault for each call. It also calls rule for each call that changes
	// an instance, one at a time.
	fault, rule func(request) *fault

	serial  sync.Mutex     // moto has no locks and takes one change at a time
	mu      sync.Mutex     // guards the fields below
	starts  map[string]int // the starts that had an effect, by instance
	started map[string]time.Time

	offline atomic.Bool
	lose    atomic.Bool
	hang    atomic.Bool
	done    chan struct{}
}

var regions, named atomic.Int64

// newCloud returns an empty region, or skips the test if moto is not installed.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	m, err := moto()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("moto is required here: %v", err)
	case err != nil:
		t.Skipf("no EC2 to talk to: %v", err)
	}
	return newProxy(t, m.url)
}

// newProxy returns a cloud in front of the EC2 at an address.
func newProxy(t *testing.T, behind string) *cloud {
	t.Helper()
	all := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1",
		"eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "sa-east-1"}
	c := &cloud{
		t: t, moto: behind, region: all[int(regions.Add(1)-1)%len(all)],
		starts: map[string]int{}, started: map[string]time.Time{}, done: make(chan struct{}),
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if c.offline.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	c.wire = &offlining{c, tr}
	proxy := httptest.NewServer(c)
	c.url = proxy.URL
	t.Cleanup(func() {
		close(c.done)
		tr.CloseIdleConnections()
		proxy.CloseClientConnections()
		proxy.Close()
	})
	c.direct = awsec2.NewFromConfig(c.config(c.moto))
	return c
}

// name returns a name that no instance of any test has.
func (c *cloud) name() string { return fmt.Sprintf("ws-%d", named.Add(1)) }

const secret = "planted-secret"

func (c *cloud) config(endpoint string) aws.Config {
	return aws.Config{
		Region: c.region, BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: c.wire},
		Credentials: keys(secret),
	}
}

func keys(secret string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "key", SecretAccessKey: secret}, nil
	})
}

// offlining closes idle connections while there is no network.
type offlining struct {
	c  *cloud
	tr *http.Transport
}

func (o *offlining) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.c.offline.Load() {
		o.tr.CloseIdleConnections()
	}
	return o.tr.RoundTrip(r)
}

// open returns a Transport that calls the proxy.
func (c *cloud) open(cfg ec2.Config) *ec2.Transport {
	c.t.Helper()
	tr, err := ec2.NewFromConfig(c.config(c.url), cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	return tr
}

// stopped makes n stopped instances.
func (c *cloud) stopped(n int, tags map[string]string) []string {
	c.t.Helper()
	ids := c.running(n, tags)
	if _, err := c.direct.StopInstances(c.t.Context(), &awsec2.StopInstancesInput{InstanceIds: ids}); err != nil {
		c.t.Fatal(err)
	}
	return ids
}

func (c *cloud) running(n int, tags map[string]string) []string {
	c.t.Helper()
	in := &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-12c6146b"), InstanceType: types.InstanceTypeT3Micro,
		MinCount: aws.Int32(int32(n)), MaxCount: aws.Int32(int32(n)),
	}
	spec := types.TagSpecification{ResourceType: types.ResourceTypeInstance}
	for k, v := range tags {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	if len(tags) > 0 {
		in.TagSpecifications = []types.TagSpecification{spec}
	}
	out, err := c.direct.RunInstances(c.t.Context(), in)
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for _, i := range out.Instances {
		ids = append(ids, aws.ToString(i.InstanceId))
	}
	return ids
}

// effects returns how often an instance was really started.
func (c *cloud) effects(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.starts[id]
}

// address returns the proxy's address, for another process. The faults set so far
// apply to its calls.
func (c *cloud) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// faultOf returns the fault for a call.
func (c *cloud) faultOf(r request) *fault {
	c.mu.Lock()
	ask := c.fault
	c.mu.Unlock()
	if ask != nil {
		if own := ask(r); own != nil {
			return own
		}
	}
	return &fault{}
}

// ServeHTTP is the proxy.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	req := requestOf(form)
	f := c.faultOf(req)
	switch {
	case f.hang || c.hang.Load():
		select {
		case <-c.done:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case f.drop:
		f.cut()
	case f.code != "" && !f.after:
		c.refuse(w, f)
		return
	case req.token != "" && strings.Contains(req.token, " "): // moto fails here
		c.refuse(w, &fault{status: 400, code: "InvalidParameterValue", message: "the token is not of a page"})
		return
	}
	resp, answer, ruled := c.forward(r, body, req)
	if req.action == "StartInstances" && ruled == nil && c.lose.CompareAndSwap(true, false) {
		f.lose = true
	}
	switch {
	case ruled != nil:
		c.refuse(w, ruled)
		return
	case f.lose:
		f.cut()
	case f.code != "":
		c.refuse(w, f)
		return
	}
	for _, name := range []string{"Date", "X-Amzn-Requestid", "Content-Type"} {
		w.Header()[http.CanonicalHeaderKey(name)] = resp.Header.Values(name)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

func (c *cloud) refuse(w http.ResponseWriter, f *fault) {
	w.WriteHeader(f.status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>request-of-the-proxy</RequestID></Response>`, f.code, f.message)
}

// changing has the calls that change an instance.
var changing = []string{"StartInstances", "StopInstances", "ModifyInstanceAttribute", "CreateTags", "DeleteTags"}

// forward passes a call to moto, and reads and changes the answer, unless a rule refuses
// the call.
func (c *cloud) forward(r *http.Request, body []byte, req request) (*http.Response, []byte, *fault) {
	if slices.Contains(changing, req.action) {
		c.serial.Lock()
		defer c.serial.Unlock()
		if c.rule != nil {
			if f := c.rule(req); f != nil {
				return nil, nil, f
			}
		}
	}
	out, err := http.NewRequest(r.Method, c.moto+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch req.action {
	case "StartInstances":
		c.count(answer)
	case "DescribeInstances":
		answer = c.age(answer)
	}
	return resp, answer, nil
}

var (
	change  = regexp.MustCompile(`<instanceId>(i-[0-9a-f]+)</instanceId><currentState>.*?</currentState><previousState><code>80</code>`)
	state   = regexp.MustCompile(`(?s)<instanceId>(i-[0-9a-f]+)</instanceId>.*?<launchTime>[^<]*`)
	running = regexp.MustCompile(`<instanceState><code>16</code><name>running</name>`)
	launch  = regexp.MustCompile(`<launchTime>[^<]*`)
	address = regexp.MustCompile(`<privateIpAddress>[^<]*`)
)

// count counts the instances that an answer shows as started.
func (c *cloud) count(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range change.FindAllSubmatch(answer, -1) {
		c.starts[string(m[1])]++
		c.started[string(m[1])] = time.Now()
	}
}

// age makes an answer show instances, for a while after their start, as pending or in
// their earlier state. It sets their launch time, and gives them addresses of this
// computer.
func (c *cloud) age(answer []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer = address.ReplaceAll(answer, []byte(`<privateIpAddress>127.0.0.1`))
	return state.ReplaceAllFunc(answer, func(one []byte) []byte {
		began, ok := c.started[string(state.FindSubmatch(one)[1])]
		launched := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		now := "<code>16</code><name>running</name>"
		switch since := time.Since(began); {
		case ok && since < c.stale:
			now = "<code>80</code><name>stopped</name>"
		case ok && since < c.boot:
			now = "<code>0</code><name>pending</name>"
			launched = began
		case ok:
			launched = began
		}
		one = running.ReplaceAll(one, []byte("<instanceState>"+now))
		return launch.ReplaceAll(one, []byte("<launchTime>"+launched.UTC().Format("2006-01-02T15:04:05.000Z")))
	})
}

const studio = "account-1"

func ref(id string) transport.Ref { return transport.Ref{StudioID: studio, SessionID: id} }
