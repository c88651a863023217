package ec2_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Workstations are named by the value of a tag. A host gets its aws.Config from
// config.LoadDefaultConfig; here a fake answers instead of EC2.
func ExampleNewFromConfig() {
	standIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		status, answer := described(item("i-0123456789abcdef0", "stopped", tag("Name", "ws-042")))
		if form.Get("Action") == "StartInstances" {
			status, answer = starting(listOf(form, "InstanceId"))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer standIn.Close()
	cfg := aws.Config{Region: "us-west-2", BaseEndpoint: aws.String(standIn.URL), Credentials: keys("…")}

	workstations, err := ec2.NewFromConfig(cfg, ec2.Config{Tag: "Name"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ref := transport.Ref{StudioID: "us-west-2", SessionID: "ws-042"}
	before, err := workstations.Get(ctx, ref)
	fmt.Println(before.Ref, before.State, before.InstanceType, err)
	after, err := workstations.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "0190d2a8"})
	fmt.Println(after.Ref, after.State, err)
	// Output:
	// us-west-2/ws-042 STOPPED g5.xlarge <nil>
	// us-west-2/ws-042 START_IN_PROGRESS <nil>
}
