package settings_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

// lookUp asks an EC2 that answers with a body about the studio of a file.
func lookUp(t *testing.T, more, body string, status int) (settings.Found, error) {
	t.Helper()
	bareAWS(t, "[default]\naws_access_key_id = AKIDTEST\naws_secret_access_key = secret\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	s, err := settings.Parse("x.toml", []byte(fmt.Sprintf("[studio.\"*\"]\ntransport = \"ec2\"\nregion = \"us-west-2\"\nendpoint = %q\n%s", server.URL, more)))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened.LookUp(t.Context(), s.Studios[0])
}

func instances(next string, items ...string) string {
	return `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet>` +
		strings.Join(items, "") + "</instancesSet></item></reservationSet>" + next + "</DescribeInstancesResponse>"
}

// TestLookUp checks that a provider that answers shows wrong tags and refused
// credentials.
func TestLookUp(t *testing.T) {
	named := `<item><instanceId>i-0123456789abcdef0</instanceId><instanceState><name>stopped</name></instanceState><tagSet><item><key>Name</key><value>ws-1</value></item></tagSet></item>`
	bare := `<item><instanceId>i-0123456789abcdef1</instanceId><instanceState><name>stopped</name></instanceState></item>`
	next := "<nextToken>more</nextToken>"
	tag, tags := "tag = \"Name\"\n", "tags = { fleet = \"ws\", site = \"b\" }\n"
	for name, test := range map[string]struct {
		more, body string
		status     int
		found      settings.Found
		want       string
	}{
		"named":              {tag, instances("", named, bare), 200, settings.Found{Sessions: 2, Unnamed: 1}, ""},
		"by id":              {"", instances("", named, bare), 200, settings.Found{Sessions: 2}, ""},
		"none":               {"", instances(""), 200, settings.Found{}, ""},
		"more":               {tag, instances(next, bare), 200, settings.Found{Sessions: 1, More: true, Unnamed: 1}, ""},
		"the tag is wrong":   {tag, instances("", bare), 200, settings.Found{Sessions: 1, Unnamed: 1}, "no instance has the tag Name, which names the sessions"},
		"the tags are wrong": {tags, instances(""), 200, settings.Found{}, "no instance of this account and region has the tags fleet=ws, site=b"},
		"refused":            {"", `<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>`, 401, settings.Found{}, "AuthFailure"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := lookUp(t, test.more, test.body, test.status)
			if (found.Sessions > 0) == found.Date.IsZero() {
				t.Errorf("of %d sessions the date is %v", found.Sessions, found.Date)
			}
			found.Date = test.found.Date
			if found != test.found || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v; want %+v, %q", found, err, test.found, test.want)
			}
		})
	}
}
