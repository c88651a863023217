package main

import (
	"fmt"
	"net"
	"os"

	"crypto/tls"

	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/settings"
)

// guard returns what stands before the handlers of a TCP listener, as the settings say.
func (t *tool) guard(tokens *access.Tokens) (*access.Guard, error) {
	s := t.provider.settings.Serve
	c := access.GuardConfig{Tokens: tokens, Hosts: s.Hosts, Logger: t.logger()}
	if o := s.OIDC; o != nil {
		groups := map[string]access.Grant{}
		for _, g := range o.Groups {
			grant, err := grantOf(g.Role, g.Scope)
			if err != nil {
				return nil, t.wrongServe("oidc.groups."+g.Name, err)
			}
			groups[g.Name] = grant
		}
		var err error
		c.OIDC, err = access.NewOIDC(access.OIDCConfig{
			Issuer: o.Issuer, Audience: o.Audience, NameClaim: o.NameClaim, GroupsClaim: o.GroupsClaim, Groups: groups,
		})
		if err != nil {
			return nil, t.wrongServe("oidc", err)
		}
	}
	g, err := access.NewGuard(c)
	if err != nil {
		return nil, t.wrongServe("hosts", err)
	}
	return g, nil
}

// wrongServe returns the error of a key in [serve] that package access refuses.
func (t *tool) wrongServe(key string, err error) error {
	return &usageError{err: settings.Errors{{File: t.provider.settings.File, Key: "serve." + key, Message: plain(err)}}}
}

// grantOf returns what a role and a scope of the settings allow.
func grantOf(role string, scope []string) (access.Grant, error) {
	g := access.Grant{Scope: scope}
	if err := g.Role.UnmarshalText([]byte(role)); err != nil {
		return g, err
	}
	return g, g.Scope.Validate()
}

// accessKeys returns the access keys of the settings, with their secrets from the
// environment.
func (t *tool) accessKeys() ([]accessKey, error) {
	var keys []accessKey
	for _, k := range t.provider.settings.Serve.Keys {
		grant, err := grantOf(k.Role, k.Scope)
		if err != nil {
			return nil, t.wrongServe("keys."+k.Name, err)
		}
		secret := os.Getenv(k.SecretEnv)
		if secret == "" {
			return nil, t.wrongServe("keys."+k.Name, fmt.Errorf("the environment variable %s, which has the secret access key, is not set", k.SecretEnv))
		}
		keys = append(keys, accessKey{k.ID, secret, access.Identity{Name: k.Name, Role: grant.Role, Scope: grant.Scope}})
	}
	return keys, nil
}

// secured returns l, or l with TLS if the settings name a certificate. Tokens in the clear
// are everybody's, so a listener without TLS must be on loopback.
func (t *tool) secured(l net.Listener) (net.Listener, error) {
	s := t.provider.settings.Serve
	if s.TLSCert == "" {
		if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
			return nil, usagef("--listen %s is not loopback: set tls_cert and tls_key in [serve], or listen on 127.0.0.1", l.Addr())
		}
		return l, nil
	}
	c, err := access.TLSFiles(s.TLSCert, s.TLSKey, t.logger())
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	c.NextProtos = []string{"http/1.1"} // one connection holds one stream, which the limits count
	return tls.NewListener(l, c), nil
}
