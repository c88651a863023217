package ec2_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/probe"
)

// TestStates checks each state of an instance, with EC2's reason for it.
func TestStates(t *testing.T) {
	t.Parallel()
	stopped := time.Date(2026, 11, 22, 18, 30, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		more    string
		want    fsm.State
		code    string
		message string
		stopped time.Time
		places  int
	}{
		"pending":  {more: `<stateReason><code>pending</code><message>pending</message></stateReason>`, want: fsm.StateStartInProgress, code: "pending", message: "pending", places: 2},
		"running":  {want: fsm.StateReady, places: 2},
		"stopping": {want: fsm.StateStopInProgress},
		"stopped": {
			more: `<reason>User initiated (2026-11-22 18:30:05 GMT)</reason><stateReason><code>Client.UserInitiatedShutdown</code>` +
				`<message>Client.UserInitiatedShutdown: User initiated shutdown</message></stateReason>`,
			want: fsm.StateStopped, code: "Client.UserInitiatedShutdown", stopped: stopped,
			message: "Client.UserInitiatedShutdown: User initiated shutdown; User initiated (2026-11-22 18:30:05 GMT)",
		},
		"stopped while pending": {
			more: `<reason>Server.InsufficientInstanceCapacity</reason><stateReason><code>Server.InsufficientInstanceCapacity</code>` +
				`<message>Server.InsufficientInstanceCapacity: no g5.xlarge in us-west-2a</message></stateReason>`,
			want: fsm.StateStopped, code: "Server.InsufficientInstanceCapacity",
			message: "Server.InsufficientInstanceCapacity: no g5.xlarge in us-west-2a",
		},
		"shutting-down": {want: fsm.StateDeleteInProgress},
		"terminated":    {want: fsm.StateDeleted},
		"dozing":        {want: "DOZING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, _, _ := strings.Cut(name, " ")
			s := newScript(t, func(url.Values) (int, string) {
				return described(item(one, state, test.more+tag("shot", "010")+`<privateIpAddress>10.0.0.3</privateIpAddress><ipAddress>198.51.100.3</ipAddress>`))
			})
			got, err := s.open(ec2.Config{}).Get(t.Context(), ref(one))
			if err != nil || got.State != test.want || got.StatusCode != test.code || got.StatusMessage != test.message || !got.StoppedAt.Equal(test.stopped) {
				t.Errorf("%+v, %v", got, err)
			}
			updated := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
			if !got.StartedAt.Equal(updated) {
				t.Errorf("started at %v", got.StartedAt)
			}
			if test.stopped.After(updated) {
				updated = test.stopped
			}
			if !got.UpdatedAt.Equal(updated) || got.InstanceType != "g5.xlarge" || got.Tags["shot"] != "010" || got.Date.IsZero() {
				t.Errorf("%+v", got)
			}
			if len(got.Endpoints) != test.places || test.places > 0 && (got.Endpoints[0].Name != "private" || got.Endpoints[1].Host != "198.51.100.3") {
				t.Errorf("endpoints %v", got.Endpoints)
			}
		})
	}
}

// TestProbe checks that a machine that runs and whose port does not answer from this
// computer has another status than one that does not run.
func TestProbe(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-test\r\n")
			_ = conn.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	tr := c.open(ec2.Config{Probe: probe.Probe{Kind: probe.KindSSH, Port: port}})
	up, off := c.running(1, nil)[0], c.stopped(1, nil)[0]
	get := func(id string) transport.Session {
		t.Helper()
		got, err := tr.Get(t.Context(), ref(id))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := get(up); got.State != fsm.StateReady || len(got.Endpoints) == 0 || got.Endpoints[0].Name != "ssh" || got.Endpoints[0].Host != "127.0.0.1" || got.Endpoints[0].Port != port {
		t.Errorf("its port answers: %+v", got)
	}
	_ = l.Close()
	want := fmt.Sprintf("running, but port %d (ssh) of 127.0.0.1 does not answer from this computer", port)
	if got := get(up); got.State != fsm.StateStartInProgress || got.StatusCode != probe.CodeUnanswered || !strings.Contains(got.StatusMessage, want) {
		t.Errorf("its port is closed: %+v", got)
	}
	if got := get(off); got.State != fsm.StateStopped || strings.Contains(got.StatusMessage, "running") {
		t.Errorf("it does not run: %+v", got)
	}
	started, err := tr.Start(t.Context(), start(up))
	if err != nil || started.State == fsm.StateReady {
		t.Errorf("the start of a running machine: %+v, %v; only the probe shows READY", started, err)
	}
}

// TestPublic checks that the configured address is the one that is probed.
func TestPublic(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(url.Values) (int, string) {
		return described(item(one, "running", `<privateIpAddress>127.0.0.1</privateIpAddress>`))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := probe.Probe{Kind: probe.KindTCP, Port: l.Addr().(*net.TCPAddr).Port}
	got, err := s.open(ec2.Config{Probe: p}).Get(t.Context(), ref(one))
	if err != nil || got.State != fsm.StateReady {
		t.Errorf("by its private address: %+v, %v", got, err)
	}
	got, err = s.open(ec2.Config{Probe: p, Public: true}).Get(t.Context(), ref(one))
	if err != nil || got.State != fsm.StateStartInProgress || !strings.Contains(got.StatusMessage, "no address") {
		t.Errorf("without a public address: %+v, %v", got, err)
	}
}

func TestStatusChecks(t *testing.T) {
	t.Parallel()
	ids := make([]string, 150)
	items := make([]string, len(ids))
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%017x", i)
		items[i] = item(ids[i], "running", "")
	}
	system := map[string]string{ids[0]: "initializing", ids[1]: "impaired", ids[2]: ""}
	s := newScript(t, func(form url.Values) (int, string) {
		if form.Get("Action") == "DescribeInstances" {
			return described(items...)
		}
		var b strings.Builder
		for _, id := range listOf(form, "InstanceId") {
			status, ok := system[id]
			if !ok {
				status = "ok"
			}
			if status != "" {
				fmt.Fprintf(&b, `<item><instanceId>%s</instanceId><systemStatus><status>%s</status></systemStatus><instanceStatus><status>ok</status></instanceStatus></item>`, id, status)
			}
		}
		return http.StatusOK, "<DescribeInstanceStatusResponse><instanceStatusSet>" + b.String() + "</instanceStatusSet></DescribeInstanceStatusResponse>"
	})
	refs := make([]transport.Ref, len(ids))
	for i, id := range ids {
		refs[i] = ref(id)
	}
	results, err := s.open(ec2.Config{StatusChecks: true}).BatchGet(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		switch want, bad := system[ids[i]]; {
		case r.Err != nil:
			t.Error(r.Err)
		case !bad && r.Session.State != fsm.StateReady:
			t.Errorf("%s with both checks ok: %+v", ids[i], r.Session)
		case bad && (r.Session.State != fsm.StateStartInProgress || r.Session.StatusCode != ec2.StatusChecking || !strings.Contains(r.Session.StatusMessage, "system "+want)):
			t.Errorf("%s with %q: %+v", ids[i], want, r.Session)
		}
	}
	if n := len(s.requests()); n != 3 {
		t.Errorf("%d requests for 150 instances, want one for all and two for a hundred each", n)
	}
}

// TestStatusCheckDetails checks that the session has EC2's details of failed checks, and
// that all pages of the answer are read.
func TestStatusCheckDetails(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(form url.Values) (int, string) {
		if form.Get("Action") == "DescribeInstances" {
			return described(item(one, "running", `<stateReason><code>Server.Maintenance</code><message>moved to another host</message></stateReason>`))
		}
		if form.Get("NextToken") == "" {
			return http.StatusOK, "<DescribeInstanceStatusResponse><instanceStatusSet/><nextToken>2</nextToken></DescribeInstanceStatusResponse>"
		}
		return http.StatusOK, `<DescribeInstanceStatusResponse><instanceStatusSet><item><instanceId>` + one + `</instanceId>
<systemStatus><status>ok</status></systemStatus><instanceStatus><status>impaired</status><details><item><name>reachability</name><status>failed</status><impairedSince>2026-11-23T09:55:00.000Z</impairedSince></item></details></instanceStatus>
<eventsSet><item><code>instance-retirement</code><description>degraded hardware</description><notBefore>2026-12-01T00:00:00.000Z</notBefore></item></eventsSet></item></instanceStatusSet></DescribeInstanceStatusResponse>`
	})
	got, err := s.open(ec2.Config{StatusChecks: true}).Get(t.Context(), ref(one))
	const want = "running, but not all status checks are ok: system ok, instance impaired (reachability failed since 2026-11-23T09:55:00Z); " +
		"scheduled instance-retirement: degraded hardware, not before 2026-12-01T00:00:00Z; EC2 says: moved to another host"
	if err != nil || got.State != fsm.StateStartInProgress || got.StatusCode != ec2.StatusChecking || got.StatusMessage != want {
		t.Errorf("%+v, %v; want\n%s", got, err, want)
	}
}

// TestTooManyAtOnce checks that a read of too many sessions is refused before it is sent.
func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newScript(t, always(500, ""))
	tr, refs, ids := s.open(ec2.Config{Tag: "Name"}), make([]transport.Ref, 1001), make([]string, 1001)
	for i := range refs {
		refs[i] = ref(fmt.Sprint("ws-", i))
		ids[i] = refs[i].SessionID
	}
	_, batch := tr.BatchGet(t.Context(), refs)
	_, list := tr.List(t.Context(), transport.ListInput{StudioID: studio, SessionIDs: ids})
	for name, err := range map[string]error{"BatchGet": batch, "List": list} {
		var e *transport.Error
		if !errors.As(err, &e) || e.Kind != transport.KindInvalid || !e.NotSent || !strings.Contains(e.Message, "at most 1000") || len(s.requests()) != 0 {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

// TestStatusChecksFail checks that a failed read of the status checks is an error,
// because READY is then unknown.
func TestStatusChecksFail(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(form url.Values) (int, string) {
		if form.Get("Action") == "DescribeInstances" {
			return described(item(one, "running", ""))
		}
		return 503, failing("RequestLimitExceeded", "slow down")
	})
	tr := s.open(ec2.Config{StatusChecks: true})
	if got, err := tr.Get(t.Context(), ref(one)); !errors.Is(err, transport.KindThrottled) {
		t.Errorf("%+v, %v", got, err)
	}
	if out, err := tr.List(t.Context(), transport.ListInput{StudioID: studio}); !errors.Is(err, transport.KindThrottled) {
		t.Errorf("a list without it: %+v, %v", out, err)
	}
}

// strict is an EC2 that refuses a whole call by ids for one unknown id, and leaves
// unknown ids out of a call by filter.
func strict(t *testing.T, known []string, most int) *script {
	return newScript(t, func(form url.Values) (int, string) {
		ids := listOf(form, "InstanceId")
		values := listOf(form, "Filter.1.Value")
		if len(values) > 200 {
			return 400, failing("FilterLimitExceeded", "too many values")
		}
		if len(ids) > most {
			t.Errorf("%d ids in a call", len(ids))
		}
		var items []string
		for _, id := range append(ids, values...) {
			if slices.Contains(known, id) {
				items = append(items, item(id, "stopped", ""))
			} else if len(ids) > 0 {
				return 400, failing("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			}
		}
		return described(items...)
	})
}

func TestBatchGetCalls(t *testing.T) {
	t.Parallel()
	known := make([]string, 1000)
	refs := make([]transport.Ref, len(known))
	for i := range known {
		known[i] = fmt.Sprintf("i-%017x", i)
		refs[i] = ref(known[i])
	}
	s := strict(t, known, 1000)
	if results, err := s.open(ec2.Config{}).BatchGet(t.Context(), refs); err != nil || len(results) != 1000 || results[999].Session.State != fsm.StateStopped {
		t.Fatalf("%d results, %v", len(results), err)
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("a thousand instances took %d calls", n)
	}
	refs[500] = ref(one)
	s = strict(t, known, 1000)
	results, err := s.open(ec2.Config{}).BatchGet(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if i == 500 != errors.Is(r.Err, transport.KindNotFound) || i != 500 && r.Session.State != fsm.StateStopped {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	if n := len(s.requests()); n != 6 {
		t.Errorf("a thousand instances, one of them not known, took %d calls, want 6", n)
	}
}

// TestNames checks which instance a name means.
func TestNames(t *testing.T) {
	t.Parallel()
	const a, b = "i-0000000000000000a", "i-0000000000000000b"
	for name, test := range map[string]struct {
		items []string
		want  string // the state, or the error
	}{
		"one":                          {[]string{item(a, "stopped", tag("Name", "ws-042"))}, "STOPPED"},
		"none":                         {nil, "not found: InvalidInstanceID.NotFound: no instance in this account and region has the tag Name=ws-042"},
		"of another case":              {[]string{item(a, "stopped", tag("Name", "WS-042"))}, "not found"},
		"two":                          {[]string{item(b, "stopped", tag("Name", "ws-042")), item(a, "running", tag("Name", "ws-042"))}, "2 instances have the tag Name=ws-042: " + a + ", " + b},
		"a terminated one's successor": {[]string{item(a, "terminated", tag("Name", "ws-042")), item(b, "stopped", tag("Name", "ws-042"))}, "STOPPED"},
		"two that are terminated":      {[]string{item(a, "terminated", tag("Name", "ws-042")), item(b, "terminated", tag("Name", "ws-042"))}, "DELETED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, func(form url.Values) (int, string) {
				if form.Get("Action") != "DescribeInstances" {
					return http.StatusOK, "<StartInstancesResponse/>"
				}
				return described(test.items...)
			})
			tr := s.open(ec2.Config{Tag: " Name ", Tags: map[string]string{"fleet": "artists", "gpu": ""}})
			got, err := tr.Get(t.Context(), ref("ws-042"))
			if err != nil {
				got.State = fsm.State(err.Error())
			}
			if !strings.Contains(string(got.State), test.want) {
				t.Errorf("%+v, %v; want %s", got, err, test.want)
			}
			form := s.requests()[0]
			if form.Get("Filter.1.Name") != "tag:fleet" || form.Get("Filter.2.Name") != "tag-key" || form.Get("Filter.2.Value.1") != "gpu" ||
				form.Get("Filter.3.Name") != "tag:Name" || form.Get("Filter.3.Value.1") != "ws-042" {
				t.Errorf("asked by %v", form)
			}
			if err == nil {
				return
			}
			_, err = tr.Start(t.Context(), start("ws-042"))
			var e *transport.Error
			if !errors.As(err, &e) || !e.NotSent || len(s.requests()) != 2 {
				t.Errorf("Start: %+v after %d requests, want not sent", err, len(s.requests()))
			}
		})
	}
}

// TestStraySpace checks that white space around an id, as from a spreadsheet, does not
// matter.
func TestStraySpace(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(form url.Values) (int, string) {
		switch form.Get("Action") {
		case "StartInstances":
			return starting(listOf(form, "InstanceId"))
		case "StopInstances":
			return http.StatusOK, `<StopInstancesResponse><instancesSet><item><instanceId>` + one + `</instanceId></item></instancesSet></StopInstancesResponse>`
		}
		return described(item(one, "stopped", tag("Name", "ws-042")))
	})
	tr := s.open(ec2.Config{Tag: "Name"})
	for _, id := range []string{" " + one, one + "\n", "\u00a0" + one + " ", " ws-042 "} {
		started, startErr := tr.Start(t.Context(), start(id))
		seen, getErr := tr.Get(t.Context(), ref(id))
		stopped, stopErr := tr.Stop(t.Context(), transport.StopInput{Ref: ref(id)})
		if err := errors.Join(startErr, getErr, stopErr); err != nil || started.Ref != ref(id) || seen.Ref != ref(id) || stopped.Ref != ref(id) {
			t.Errorf("%q: %v, %v, %v, %v", id, started.Ref, seen.Ref, stopped.Ref, err)
		}
	}
	for _, form := range s.requests() {
		for _, id := range append(listOf(form, "InstanceId"), listOf(form, "Filter.1.Value")...) {
			if id != one && id != "ws-042" {
				t.Errorf("the result of %s names %q", form.Get("Action"), id)
			}
		}
	}
}

// TestWildcards checks that a filter's wildcards in a name are plain characters.
func TestWildcards(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(url.Values) (int, string) { return described() })
	_, err := s.open(ec2.Config{Tag: "Name"}).Get(t.Context(), ref("ws-*?"))
	if got := s.requests()[0].Get("Filter.1.Value.1"); !errors.Is(err, transport.KindNotFound) || got != `ws-\*\?` {
		t.Errorf("%v, asked for %q", err, got)
	}
}

// TestListNames checks that a name is shown only if it means one instance.
func TestListNames(t *testing.T) {
	t.Parallel()
	ids := []string{"i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c", "i-0000000000000000d", "i-0000000000000000e", "i-0000000000000000f"}
	s := newScript(t, func(url.Values) (int, string) {
		return described(
			item(ids[0], "running", tag("Name", "ws-1")),
			item(ids[1], "stopped", tag("Name", "ws-2")), item(ids[2], "stopped", tag("Name", "ws-2")),
			item(ids[3], "terminated", tag("Name", "ws-1")),
			item(ids[4], "stopped", tag("Name", "a name / with spaces")),
			item(ids[5], "stopped", ""),
		)
	})
	out, err := s.open(ec2.Config{Tag: "Name", Tags: map[string]string{"fleet": "artists"}}).List(t.Context(), transport.ListInput{StudioID: studio})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, session := range out.Sessions {
		got = append(got, session.SessionID)
	}
	if want := append([]string{"ws-1"}, ids[1:]...); !slices.Equal(got, want) {
		t.Errorf("listed as %v, want %v", got, want)
	}
	if form := s.requests()[0]; form.Get("Filter.1.Name") != "tag:fleet" || form.Get("MaxResults") != "1000" {
		t.Errorf("asked by %v", form)
	}
	owned, err := s.open(ec2.Config{}).List(t.Context(), transport.ListInput{StudioID: studio, OwnedBy: "somebody"})
	if err != nil || len(owned.Sessions) != 0 {
		t.Errorf("with an owner: %v, %v", owned, err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	tr := c.open(ec2.Config{Tag: "Name"})
	name := c.name()
	c.running(1, map[string]string{"Name": name})
	for range 2 { // stopping a stopped instance does nothing
		got, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref(name)})
		if err != nil || got.Ref != ref(name) || got.State != fsm.StateStopInProgress && got.State != fsm.StateStopped {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if got, err := tr.Get(t.Context(), ref(name)); err != nil || got.State != fsm.StateStopped || got.StoppedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := tr.Stop(t.Context(), transport.StopInput{Ref: ref("ws-none")})
	if !errors.Is(err, transport.KindNotFound) {
		t.Errorf("%v", err)
	}
}

// TestStartedAtOfAStoppedInstance checks that every read has the LaunchTime, which shows
// whether a start had an effect.
func TestStartedAtOfAStoppedInstance(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(url.Values) (int, string) { return described(item(one, "stopped", tag("Name", "ws-1"))) })
	tr := s.open(ec2.Config{Tag: "Name", StatusChecks: true})
	var all []transport.Session
	for _, r := range []transport.Ref{ref(one), ref("ws-1")} {
		got, err := tr.Get(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := tr.BatchGet(t.Context(), []transport.Ref{r, r})
		if err != nil {
			t.Fatal(err)
		}
		list, err := tr.List(t.Context(), transport.ListInput{StudioID: studio, SessionIDs: []string{r.SessionID}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got, batch[0].Session, batch[1].Session)
		all = append(all, list.Sessions...)
	}
	if len(all) != 8 {
		t.Errorf("%d sessions, want 8", len(all))
	}
	for _, got := range all {
		if want := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC); got.State != fsm.StateStopped || !got.StartedAt.Equal(want) || got.Date.IsZero() {
			t.Errorf("%+v, want it started at %v, and a date", got, want)
		}
	}
}
