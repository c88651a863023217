package access

import (
	"encoding/json"
	"net/http"
)

// problemType is one kind of refusal. Its type is "urn:rouse:problem:" and the word.
// Words are append only, so types are stable.
type problemType struct {
	word   string
	status int
	title  string
}

var (
	problemHost            = problemType{"host", http.StatusMisdirectedRequest, "not a name of this server"}
	problemOrigin          = problemType{"origin", http.StatusForbidden, "a web page of another origin"}
	problemUnauthenticated = problemType{"unauthenticated", http.StatusUnauthorized, "no valid credentials"}
	problemRole            = problemType{"role", http.StatusForbidden, "the role does not allow this"}
	problemLimited         = problemType{"too_many", http.StatusTooManyRequests, "too many failed authentications"}
	problemUnchecked       = problemType{"unchecked", http.StatusServiceUnavailable, "credentials cannot be checked now"}
)

// write answers with a problem, as RFC 9457 has it.
func (p problemType) write(w http.ResponseWriter, detail string) {
	// Texts and a number are always JSON.
	text, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"urn:rouse:problem:" + p.word, p.title, p.status, detail})
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.status)
	_, _ = w.Write(text) // the client may be gone
}
