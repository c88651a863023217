package ec2_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// script is an EC2 with fixed answers that records its requests.
type script struct {
	t   *testing.T
	url string

	mu     sync.Mutex // guards the fields below
	answer func(url.Values) (status int, body string)
	asked  []url.Values
}

func newScript(t *testing.T, answer func(url.Values) (int, string)) *script {
	t.Helper()
	s := &script{t: t, answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		s.mu.Lock()
		s.asked = append(s.asked, form)
		status, text := s.answer(form)
		s.mu.Unlock()
		w.Header().Set("Date", "Mon, 23 Nov 2026 10:00:00 GMT")
		w.Header().Set("Retry-After", "7")
		if status == http.StatusFound {
			w.Header().Set("Location", "/portal")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *script) config() aws.Config {
	tr := &http.Transport{}
	s.t.Cleanup(tr.CloseIdleConnections)
	return aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(s.url), HTTPClient: &http.Client{Transport: tr}, Credentials: keys(secret),
		RetryMaxAttempts: 5, // not used, because one call is one request
	}
}

func (s *script) open(cfg ec2.Config) *ec2.Transport {
	s.t.Helper()
	tr, err := ec2.NewFromConfig(s.config(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return tr
}

func (s *script) requests() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// always returns one answer for all requests.
func always(status int, body string) func(url.Values) (int, string) {
	return func(url.Values) (int, string) { return status, body }
}

func failing(code, message string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>req-1</RequestID></Response>`, code, message)
}

// described returns an answer to DescribeInstances.
func described(items ...string) (int, string) {
	return http.StatusOK, `<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>req-1</requestId><reservationSet><item><instancesSet>` +
		strings.Join(items, "") + `</instancesSet></item></reservationSet></DescribeInstancesResponse>`
}

// item returns an instance for such an answer. The argument more has further elements.
func item(id, state, more string) string {
	return fmt.Sprintf(`<item><instanceId>%s</instanceId><imageId>ami-1</imageId><instanceState><code>1</code><name>%s</name></instanceState>
<instanceType>g5.xlarge</instanceType><launchTime>2026-11-20T08:00:00.000Z</launchTime><placement><availabilityZone>us-west-2a</availabilityZone></placement>%s</item>`, id, state, more)
}

func tag(key, value string) string {
	return fmt.Sprintf(`<tagSet><item><key>%s</key><value>%s</value></item></tagSet>`, key, value)
}

// listOf returns the values of a list in a query.
func listOf(form url.Values, name string) (all []string) {
	for n := 1; form.Has(fmt.Sprintf("%s.%d", name, n)); n++ {
		all = append(all, form.Get(fmt.Sprintf("%s.%d", name, n)))
	}
	return all
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
