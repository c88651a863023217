package ec2_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// ram is a fake EC2 in memory with a few actions, for tests with thousands of calls,
// because moto takes 10 ms for a call. It behaves like moto; TestCut runs over both.
type ram struct {
	mu  sync.Mutex // guards all fields
	all map[string]*machine
}

type machine struct{ kind, state, tag string }

var machineStates = map[string]string{"running": "16", "stopped": "80"}

func newRAM(t *testing.T) string {
	t.Helper()
	r := &ram{all: map[string]*machine{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

func (r *ram) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	form, _ := url.ParseQuery(string(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	action := form.Get("Action")
	answer := ""
	if action == "RunInstances" {
		most, _ := strconv.Atoi(form.Get("MaxCount"))
		for range most {
			id := fmt.Sprintf("i-%017x", len(r.all)+1)
			r.all[id] = &machine{kind: form.Get("InstanceType"), state: "running"}
			answer += r.all[id].item(id)
		}
	}
	for _, id := range requestOf(form).ids {
		m := r.all[id]
		if m == nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, failing("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist"))
			return
		}
		answer += m.do(action, id, form)
	}
	switch action {
	case "DescribeInstances":
		answer = "<reservationSet><item><instancesSet>" + answer + "</instancesSet></item></reservationSet>"
	case "RunInstances", "StartInstances", "StopInstances":
		answer = "<instancesSet>" + answer + "</instancesSet>"
	}
	fmt.Fprintf(w, "<%sResponse>%s<requestId>r</requestId></%sResponse>", action, answer, action)
}

// do applies an action to a machine, and returns its part of the answer.
func (m *machine) do(action, id string, form url.Values) string {
	was := m.state
	switch action {
	case "DescribeInstances":
		return m.item(id)
	case "StartInstances":
		m.state = "running"
	case "StopInstances":
		m.state = "stopped"
	case "ModifyInstanceAttribute":
		m.kind = form.Get("InstanceType.Value")
		return "<return>true</return>"
	case "CreateTags":
		m.tag = form.Get("Tag.1.Value")
		return "<return>true</return>"
	case "DeleteTags":
		if m.tag == form.Get("Tag.1.Value") {
			m.tag = ""
		}
		return "<return>true</return>"
	}
	return fmt.Sprintf(`<item><instanceId>%s</instanceId><currentState><code>%s</code><name>%s</name></currentState>`+
		`<previousState><code>%s</code><name>%s</name></previousState></item>`, id, machineStates[m.state], m.state, machineStates[was], was)
}

func (m *machine) item(id string) string {
	text := item(id, m.state, "")
	text = strings.Replace(text, "<code>1</code>", "<code>"+machineStates[m.state]+"</code>", 1)
	text = strings.Replace(text, "g5.xlarge", m.kind, 1)
	if m.tag != "" {
		text = strings.Replace(text, "</item>", tag("rouse:instance-type", m.tag)+"</item>", 1)
	}
	return text
}
