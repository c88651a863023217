package nimble

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// A signature that is valid for another scope is refused because of the scope. The SDK's
// signer cannot make one, so the test makes it from the signer's request.
func TestScopeIsExact(t *testing.T) {
	t.Parallel()
	key := aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}
	sum := sha256.Sum256(nil)
	hash := hex.EncodeToString(sum[:])
	now := time.Now().UTC()
	day := now.Format("20060102")
	for scope, want := range map[string]bool{
		day + "/r/nimble/aws4_request":                                      true,
		now.AddDate(0, 0, -1).Format("20060102") + "/r/nimble/aws4_request": false,
		day[:6] + "/r/nimble/aws4_request":                                  false,
		"/r/nimble/aws4_request":                                            false,
		day + "/r/nimble/aws4_request2":                                     false,
		day + "/r/nimble/":                                                  false,
		day + "/r/ec2/aws4_request":                                         false,
		day + "/R/nimble/aws4_request":                                      false,
		day + "//nimble/aws4_request":                                       false,
	} {
		r, err := http.NewRequest(http.MethodGet, "http://studio.example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(context.Background(), key, r, hash, serviceName, "r", now); err != nil {
			t.Fatal(err)
		}
		s := signature{at: r.Header.Get("X-Amz-Date"), scope: scope, signed: []string{"host", "x-amz-date"}}
		canonical, err := s.canonicalRequest(r, hash)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", algorithm+" Credential=AK/"+scope+", SignedHeaders="+strings.Join(s.signed, ";")+
			", Signature="+hex.EncodeToString(s.expected("SK", canonical)))
		s, err = parseSignature(r, "r")
		if err == nil {
			err = s.verify(r, nil, key)
		}
		if (err == nil) != want {
			t.Errorf("scope %s: %v", scope, err)
		}
	}
}
