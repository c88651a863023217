package settings

import (
	"net"
	"strconv"
)

// Serve says how a server listens on TCP, and whom it lets in. The zero value has no
// listener.
type Serve struct {
	// Listen is an address and a port, as net.Listen takes them; "": it does not listen.
	Listen string
	// TLSCert and TLSKey are PEM files; both are "" for no TLS.
	TLSCert, TLSKey string
	// Hosts are the names and addresses, without port, by which clients may call the
	// server, in addition to those of loopback.
	Hosts []string
	// OIDC is the issuer of people's ID tokens; nil: there is none.
	OIDC *OIDC
	// SocketGroup is the group whose members may use the socket; "": there is none.
	SocketGroup string
	// Keys are the access keys that AWS clients sign the Nimble protocol with.
	Keys []AccessKey
}

// AccessKey is a key pair of AWS clients, and what it allows.
type AccessKey struct {
	Name  string   // the identity's name
	ID    string   // the access key id
	Role  string   // viewer, operator or admin
	Scope []string // patterns STUDIO/SESSION; none: every session
	// SecretEnv is the environment variable that has the secret access key.
	SecretEnv string
}

// OIDC names an issuer of OpenID Connect, and what the groups in its ID tokens may do.
type OIDC struct {
	Issuer, Audience       string
	NameClaim, GroupsClaim string // "": the default
	Groups                 []Group
}

// Group is a group of people in ID tokens.
type Group struct {
	Name  string
	Role  string   // viewer, operator or admin
	Scope []string // patterns STUDIO/SESSION; none: every session
}

func readServe(t *table) Serve {
	s := Serve{Listen: t.text("listen"), TLSCert: t.text("tls_cert"), TLSKey: t.text("tls_key"), Hosts: t.texts("hosts")}
	if s.Listen != "" && !isListen(s.Listen) {
		t.wrong("listen", "%.80q: want an address and a port, as \"127.0.0.1:8282\", or \":8282\" for every address", s.Listen)
	}
	switch {
	case t.has("tls_cert") && !t.has("tls_key"):
		t.wrong("tls_cert", "it needs tls_key, which is not set")
	case t.has("tls_key") && !t.has("tls_cert"):
		t.wrong("tls_key", "it needs tls_cert, which is not set")
	}
	o := t.one("oidc")
	if t.has("oidc") {
		s.OIDC = readOIDC(o)
	}
	s.SocketGroup = t.text("socket_group")
	for name, sub := range t.tables("keys", "a table for each access key, as [serve.keys.render-bot]") {
		s.Keys = append(s.Keys, AccessKey{
			Name: name, ID: sub.text("access_key_id"), SecretEnv: sub.text("secret_env"),
			Role: sub.choice("role", "viewer", "operator", "admin"), Scope: sub.texts("scope"),
		})
		sub.required("access_key_id", "the id that clients have as AWS_ACCESS_KEY_ID")
		sub.required("secret_env", "the environment variable with the secret access key")
		sub.required("role", "viewer, operator or admin")
		for _, other := range s.Keys[:len(s.Keys)-1] {
			if id := s.Keys[len(s.Keys)-1].ID; id != "" && other.ID == id {
				sub.wrong("access_key_id", "%q is that of [serve.keys.%s] too; give each client a key of its own", id, other.Name)
			}
		}
		sub.end()
	}
	t.end()
	return s
}

// isListen reports whether text is an address and the number of a port. It looks up
// no name.
func isListen(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func readOIDC(t *table) *OIDC {
	o := &OIDC{Issuer: t.text("issuer"), Audience: t.text("audience"), NameClaim: t.text("name_claim"), GroupsClaim: t.text("groups_claim")}
	t.required("issuer", "the URL of the issuer, as its ID tokens have it")
	t.required("audience", "the client id that rouse has at the issuer")
	for name, sub := range t.tables("groups", "a table for each group, as [serve.oidc.groups.artists]") {
		o.Groups = append(o.Groups, Group{Name: name, Role: sub.choice("role", "viewer", "operator", "admin"), Scope: sub.texts("scope")})
		sub.required("role", "viewer, operator or admin")
		sub.end()
	}
	t.required("groups", "a table for each group that may do something, as [serve.oidc.groups.artists]")
	t.end()
	return o
}
