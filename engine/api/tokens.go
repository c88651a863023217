package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rouse-dev/rouse/engine/access"
)

// Tokens manages access tokens. *access.Tokens and *TokenClient both have these methods,
// with the same meaning and the same errors.
type Tokens interface {
	Create(ctx context.Context, r access.TokenRequest, by string) (access.Issued, error)
	List(ctx context.Context) ([]access.Token, error)
	Revoke(ctx context.Context, id, by string) (access.Token, error)
	Rotate(ctx context.Context, id, by string) (access.Issued, error)
}

var (
	_ Tokens = (*access.Tokens)(nil)
	_ Tokens = (*TokenClient)(nil)
)

func (s *server) tokenRoutes() {
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/tokens", OperationID: "createToken", Summary: "Create an access token", DefaultStatus: http.StatusCreated}, manage, s.createToken)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/tokens", OperationID: "tokens", Summary: "List access tokens"}, manage, s.tokens)
	add(s, huma.Operation{Method: http.MethodDelete, Path: "/v1/tokens/{id}", OperationID: "revokeToken", Summary: "Revoke an access token", DefaultStatus: http.StatusOK}, manage, s.revokeToken)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/tokens/{id}/rotate", OperationID: "rotateToken", Summary: "Give an access token a new secret"}, manage, s.rotateToken)
}

// tokenRequest is an access.TokenRequest in JSON.
type tokenRequest struct {
	Name            string   `json:"name" doc:"The name of the identity: 1 to 128 printable ASCII characters without space or slash."`
	Role            string   `json:"role" enum:"viewer,operator,admin"`
	Scope           []string `json:"scope,omitempty" doc:"Patterns STUDIO/SESSION with * and ?. Without them, every session. An admin has none."`
	LifetimeSeconds int64    `json:"lifetimeSeconds" minimum:"1" maximum:"315360000" doc:"How long the token can be used."`
}

func (b tokenRequest) request() (access.TokenRequest, error) {
	r := access.TokenRequest{Name: b.Name, Scope: b.Scope, Lifetime: time.Duration(b.LifetimeSeconds) * time.Second}
	return r, r.Role.UnmarshalText([]byte(b.Role))
}

type (
	tokenInput struct{ Body tokenRequest }
	tokenList  struct{ Body tokenPage }
	tokenPage  struct {
		Tokens []access.Token `json:"tokens" nullable:"false"`
	}
	tokenOutput  struct{ Body access.Token }
	issuedOutput struct{ Body access.Issued }
)

// managed returns the tokens of the server.
func (s *server) managed() (Tokens, error) {
	if s.config.Tokens == nil {
		return nil, fmt.Errorf("api: this server keeps no access tokens: %w", errors.ErrUnsupported)
	}
	return s.config.Tokens, nil
}

func (s *server) createToken(ctx context.Context, who access.Identity, in *tokenInput) (*issuedOutput, error) {
	tokens, err := s.managed()
	if err != nil {
		return nil, err
	}
	r, err := in.Body.request()
	if err != nil {
		return nil, err
	}
	issued, err := tokens.Create(ctx, r, who.Name)
	return &issuedOutput{issued}, err
}

func (s *server) tokens(ctx context.Context, _ access.Identity, _ *none) (*tokenList, error) {
	tokens, err := s.managed()
	if err != nil {
		return nil, err
	}
	all, err := tokens.List(ctx)
	return &tokenList{tokenPage{all}}, err
}

func (s *server) revokeToken(ctx context.Context, who access.Identity, in *idInput) (*tokenOutput, error) {
	tokens, err := s.managed()
	if err != nil {
		return nil, err
	}
	token, err := tokens.Revoke(ctx, in.ID, who.Name)
	return &tokenOutput{token}, err
}

func (s *server) rotateToken(ctx context.Context, who access.Identity, in *idInput) (*issuedOutput, error) {
	tokens, err := s.managed()
	if err != nil {
		return nil, err
	}
	issued, err := tokens.Rotate(ctx, in.ID, who.Name)
	return &issuedOutput{issued}, err
}

// TokenClient manages the access tokens of an engine that another process has. Its
// arguments by are not sent, as for [Client]. It is safe for concurrent use.
type TokenClient struct{ client *Client }

// Tokens returns the client for access tokens. Its identity must be an admin's.
func (c *Client) Tokens() *TokenClient { return &TokenClient{c} }

// Create is [access.Tokens.Create]. The lifetime is sent in whole seconds.
func (c *TokenClient) Create(ctx context.Context, r access.TokenRequest, _ string) (issued access.Issued, err error) {
	if err := r.Validate(); err != nil {
		return issued, err
	}
	body := tokenRequest{Name: r.Name, Role: r.Role.String(), Scope: r.Scope, LifetimeSeconds: int64(r.Lifetime / time.Second)}
	err = c.client.ask(ctx, post(body, "tokens"), &issued)
	return issued, err
}

// List is [access.Tokens.List].
func (c *TokenClient) List(ctx context.Context) ([]access.Token, error) {
	var page tokenPage
	err := c.client.ask(ctx, get(nil, "tokens"), &page)
	return page.Tokens, err
}

// Revoke is [access.Tokens.Revoke].
func (c *TokenClient) Revoke(ctx context.Context, id, _ string) (token access.Token, err error) {
	err = c.client.ask(ctx, call{method: http.MethodDelete, path: path("tokens", id), writes: true}, &token)
	return token, err
}

// Rotate is [access.Tokens.Rotate].
func (c *TokenClient) Rotate(ctx context.Context, id, _ string) (issued access.Issued, err error) {
	err = c.client.ask(ctx, post(nil, "tokens", id, "rotate"), &issued)
	return issued, err
}
