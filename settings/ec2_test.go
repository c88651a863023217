package settings_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/rouse-dev/rouse/transport"
)

// TestPlanB checks that the file's fallback types reach EC2: at the second refusal, and
// when the instance has run and stopped.
func TestPlanB(t *testing.T) {
	bareAWS(t, "[profile farm]\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret\n")
	const id = "i-0123456789abcdef0"
	var asked []string
	shown := "g5.xlarge"
	ec2 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		action := form.Get("Action")
		asked = append(asked, action+form.Get("InstanceType.Value"))
		answer := "<return>true</return>"
		switch action {
		case "DescribeInstances":
			answer = "<reservationSet><item><instancesSet><item><instanceId>" + id + "</instanceId><instanceType>" + shown + "</instanceType>" +
				"<instanceState><name>stopped</name></instanceState></item></instancesSet></item></reservationSet>"
		case "StartInstances":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code></Error></Errors></Response>")
			return
		}
		fmt.Fprintf(w, "<%[1]sResponse>%[2]s</%[1]sResponse>", action, answer)
	}))
	defer ec2.Close()
	opened, err := open(t, `
[studio.lab]
transport = "ec2"
region = "us-west-2"
profile = "farm"
endpoint = "`+ec2.URL+`"
instance_types = ["g5.2xlarge"]
instance_types_after = 2
put_type_back = true
`)
	if err != nil {
		t.Fatal(err)
	}
	ref := transport.Ref{StudioID: "lab", SessionID: id}
	for range 2 {
		_, _ = opened.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "token"})
	}
	want := []string{
		"DescribeInstances", "StartInstances",
		"DescribeInstances", "StartInstances", "CreateTags", "ModifyInstanceAttributeg5.2xlarge", "CreateTags", "StartInstances",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	asked, shown = nil, "g5.2xlarge</instanceType><tagSet><item><key>rouse:instance-type</key><value>"+
		"changed g5.xlarge to g5.2xlarge launched 2025-01-01T00:00:00Z by token</value></item></tagSet><instanceType>g5.2xlarge"
	_, _ = opened.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "another"})
	want = []string{"DescribeInstances", "CreateTags", "ModifyInstanceAttributeg5.xlarge", "CreateTags", "StartInstances"}
	if !slices.Equal(asked, want) {
		t.Errorf("after it has run and stopped: asked for %q, want %q", asked, want)
	}
}
