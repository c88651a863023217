package nimble

import (
	"bufio"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The published vectors of Signature Version 4: one key, one time, one scope, and a
// signature for each request as it is sent.
var vectorKey = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}

const (
	vectorDate  = "20150830T123600Z"
	vectorScope = "20150830/us-east-1/service/aws4_request"
	unreserved  = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	vectorToken = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuw" +
		"thAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6" +
		"d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
	ofVanilla     = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	ofPostVanilla = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
	ofPostQuery   = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"
)

// vectors has the vectors whose request line a client of this service can send. Their ids
// and queries are escaped.
var vectors = []struct {
	name, method, target string
	headers              []string // "Name:value", as on the wire, without Host and X-Amz-Date
	signed               string   // besides host and x-amz-date
	body, want           string
}{
	{"get-vanilla", "GET", "/", nil, "", "", ofVanilla},
	{"get-vanilla-query", "GET", "/?", nil, "", "", ofVanilla},
	{"get-vanilla-empty-query-key", "GET", "/?Param1=value1", nil, "", "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", nil, "", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-order-key", "GET", "/?Param1=value2&Param1=Value1", nil, "", "", "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
	{"get-vanilla-query-order-value", "GET", "/?Param1=value2&Param1=value1", nil, "", "", "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{"get-vanilla-query-unreserved", "GET", "/?" + unreserved + "=" + unreserved, nil, "", "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{"get-vanilla-utf8-query", "GET", "/?%E1%88%B4=bar", nil, "", "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"get-unreserved", "GET", "/" + unreserved, nil, "", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-header-key-duplicate", "GET", "/", []string{"My-Header1:value2", "My-Header1:value2", "My-Header1:value1"}, "my-header1", "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-multiline", "GET", "/", []string{"My-Header1:value1,value2,value3"}, "my-header1", "", "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
	{"get-header-value-order", "GET", "/", []string{"My-Header1:value4", "My-Header1:value1", "My-Header1:value3", "My-Header1:value2"}, "my-header1", "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{"get-header-value-trim", "GET", "/", []string{"My-Header1: value1", `My-Header2: "a   b   c"`}, "my-header1;my-header2", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"post-vanilla", "POST", "/", nil, "", "", ofPostVanilla},
	{"post-header-key-case", "POST", "/", nil, "", "", ofPostVanilla},
	{"post-sts-header-after", "POST", "/", []string{"X-Amz-Security-Token:" + vectorToken}, "", "", ofPostVanilla},
	{"post-sts-header-before", "POST", "/", []string{"X-Amz-Security-Token:" + vectorToken}, "x-amz-security-token", "", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
	{"post-header-key-sort", "POST", "/", []string{"My-Header1:value1"}, "my-header1", "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"post-header-value-case", "POST", "/", []string{"My-Header1:VALUE1"}, "my-header1", "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
	{"post-vanilla-query", "POST", "/?Param1=value1", nil, "", "", ofPostQuery},
	{"post-vanilla-empty-query-value", "POST", "/?Param1=value1", nil, "", "", ofPostQuery},
	{"post-vanilla-query-space", "POST", "/?p=", nil, "", "", "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
	{"post-vanilla-query-nonunreserved", "POST", "/?%40%23%24%25%5E=&%2B=%2F%2C%3F%3E%3C%60%22%3B%3A%5C%7C%5D%5B%7B%7D", nil, "", "", "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"},
	{"post-x-www-form-urlencoded", "POST", "/", []string{"Content-Type:application/x-www-form-urlencoded"}, "content-type", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"post-x-www-form-urlencoded-parameters", "POST", "/", []string{"Content-Type:application/x-www-form-urlencoded; charset=utf8"}, "content-type", "Param1=value1", "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
}

func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(v.method + " " + v.target + " HTTP/1.1\r\nHost:example.amazonaws.com\r\nX-Amz-Date:" +
				vectorDate + "\r\n" + strings.Join(append(v.headers, ""), "\r\n") + "\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			s := signature{at: vectorDate, scope: vectorScope, signed: signedNames(v.signed)}
			if s.mac, err = hex.DecodeString(v.want); err != nil {
				t.Fatal(err)
			}
			key := vectorKey
			key.SessionToken = r.Header.Get("X-Amz-Security-Token")
			if err := s.verify(r, []byte(v.body), key); err != nil {
				canonical, _ := s.canonicalRequest(r, "…")
				t.Errorf("%v, of\n%s", err, canonical)
			}
			s.mac[31] ^= 1
			if s.verify(r, []byte(v.body), key) == nil {
				t.Error("another signature is accepted")
			}
		})
	}
}

// signedNames sorts host, x-amz-date and more.
func signedNames(more string) []string {
	names := "host;" + more + ";x-amz-date"
	switch more {
	case "":
		names = "host;x-amz-date"
	case "content-type":
		names = "content-type;host;x-amz-date"
	case "x-amz-security-token":
		names = "host;x-amz-date;x-amz-security-token"
	}
	return strings.Split(names, ";")
}

// The published suite has paths with empty and dot segments, which most services
// normalize before they sign. No id here is empty or consists of dots only. The handler
// refuses such a path, with any signature.
func TestVectorsOfFoldedPaths(t *testing.T) {
	t.Parallel()
	const base = "/" + apiVersion + "/studios/lab/streaming-sessions"
	for _, path := range []string{
		"/", "//", "//example//", "/example/..", "/example1/example2/../..", "/.", "/./", "/./example", "/ሴ", "/example space/",
		base + "/", base + "//", base + "/ws-1//start", base + "/../streaming-sessions", base + "/.", base + "/./start", base + "/ws-1/../ws-2", base + "/ws-1/./start",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if rt, err := routeOf(method, path); err == nil {
				t.Errorf("%s %s leads to %q", method, path, rt.ref)
			}
		}
	}
}
