package ec2_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
)

// endless answers DescribeInstances with pages that always have a next page, whose
// token next returns.
func endless(next func(n int) string, padding string) func(url.Values) (int, string) {
	n := 0
	return func(form url.Values) (int, string) {
		if form.Get("Action") != "DescribeInstances" {
			return http.StatusOK, "<" + form.Get("Action") + "Response></" + form.Get("Action") + "Response>"
		}
		n++
		status, body := described(item("i-0123456789abcdef0", "stopped", tag("Name", "ws-1")))
		return status, strings.Replace(body, "</DescribeInstancesResponse>",
			padding+"<nextToken>"+next(n)+"</nextToken></DescribeInstancesResponse>", 1)
	}
}

// TestEndlessPages checks that each call that looks up instances ends after a limited
// number of requests. It sends nothing else, and its error names the limit.
func TestEndlessPages(t *testing.T) {
	t.Parallel()
	ws := ref("ws-1")
	calls := map[string]func(*ec2.Transport) error{
		"Get": func(tr *ec2.Transport) error { _, err := tr.Get(t.Context(), ws); return err },
		"BatchGet": func(tr *ec2.Transport) error {
			_, err := tr.BatchGet(t.Context(), []transport.Ref{ws, ref("ws-2")})
			return err
		},
		"List": func(tr *ec2.Transport) error {
			_, err := tr.List(t.Context(), transport.ListInput{StudioID: studio, SessionIDs: []string{"ws-1"}})
			return err
		},
		"Start": func(tr *ec2.Transport) error {
			_, err := tr.Start(t.Context(), transport.StartInput{Ref: ws, ClientToken: "monday"})
			return err
		},
		"Stop": func(tr *ec2.Transport) error {
			_, err := tr.Stop(t.Context(), transport.StopInput{Ref: ws, ClientToken: "monday"})
			return err
		},
	}
	for name, test := range map[string]struct {
		next    func(int) string
		padding string
		calls   int
		want    string
	}{
		"one token":  {next: func(int) string { return "again" }, calls: 2, want: "page 2 repeats the token of an earlier page"},
		"new tokens": {next: func(n int) string { return fmt.Sprint(n) }, calls: paging.GetCalls, want: "it has more than 50 pages"},
		"large pages": {
			next: func(n int) string { return fmt.Sprint(n) }, padding: "<!--" + strings.Repeat("x", 40<<20) + "-->", calls: 2, want: "the answer is larger than ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.padding != "" && scale.Of(t, 0, 1, 1) == 0 {
				t.Skip("80 MiB of XML take seconds; ROUSE_TEST=ci runs this")
			}
			for action, call := range calls {
				if test.padding != "" && action != "Get" {
					continue // large pages take their time
				}
				s := newScript(t, endless(test.next, test.padding))
				err := call(s.open(ec2.Config{Tag: "Name", InstanceTypes: []string{"g5.2xlarge"}}))
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v, want %q", action, err, test.want)
				}
				if asked := len(s.requests()); asked != test.calls {
					t.Errorf("%s: %d requests, want %d", action, asked, test.calls)
				}
				for _, form := range s.requests() {
					if form.Get("Action") != "DescribeInstances" {
						t.Errorf("%s: sent %s", action, form.Get("Action"))
					}
				}
			}
		})
	}
}
