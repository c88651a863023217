package nimble_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestIDsAreThePorts checks that the Handler accepts exactly the ids and tokens that the
// port accepts, in path, query and header.
func TestIDsAreThePorts(t *testing.T) {
	t.Parallel()
	h := open(studio.New(studio.Config{Any: true}))
	ids := []string{"", ".", "..", "ws-1", "-oProxyCommand=id", "größe", "a\xffb"}
	for c := range 0x80 {
		ids = append(ids, "ws"+string(rune(c))+"1")
	}
	for _, id := range ids {
		refused := transport.CheckID("session id", id) != nil
		const sessions = "/2020-08-01/studios/lab/streaming-sessions"
		for what, target := range map[string]string{
			"session id": sessions + "/" + url.PathEscape(id),
			"studio id":  "/2020-08-01/studios/" + url.PathEscape(id) + "/streaming-sessions/ws-1",
		} {
			if got := ask(t, h, http.MethodGet, target, ""); (got.Code == http.StatusBadRequest) != refused {
				t.Errorf("%s %q: status %d, and the port refuses it: %v", what, id, got.Code, refused)
			}
		}
		if got := ask(t, h, http.MethodGet, sessions+"?sessionIds="+url.QueryEscape(id), ""); (got.Code == http.StatusBadRequest) != refused {
			t.Errorf("session id in a list %q: status %d, and the port refuses it: %v", id, got.Code, refused)
		}
		refused = transport.CheckToken(id) != nil
		got := ask(t, h, http.MethodPost, sessions+"/ws-1/start", "", "X-Amz-Client-Token", id)
		if (got.Code == http.StatusBadRequest) != refused {
			t.Errorf("token %q: status %d, and the port refuses it: %v", id, got.Code, refused)
		}
	}
}
