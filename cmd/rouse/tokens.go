package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
)

func (t *tool) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Manage the access tokens of programs",
		Long: `Manage the access tokens with which programs use "rouse serve".

A token has a role and a scope: what it may do, and with which sessions.
docs/access.md explains both. The database keeps the SHA-256 of a secret, so
a secret is printed once and cannot be shown again. "rouse token rotate"
replaces a lost one.`,
		Args: cobra.ArbitraryArgs,
		RunE: t.group,
	}
	c.AddCommand(t.tokenCreateCommand(), t.tokenListCommand(), t.tokenRevokeCommand(), t.tokenRotateCommand())
	return c
}

// tokenLifetime is the default of --expires.
const tokenLifetime = 90 * 24 * time.Hour

func (t *tool) tokenCreateCommand() *cobra.Command {
	var r access.TokenRequest
	var role string
	c := &cobra.Command{
		Use:   "create --name NAME --role ROLE",
		Short: "Create a token, and print its secret once",
		Long: `Create a token, and print its secret.

NAME becomes the name in the records of what the token does. ROLE is viewer
(looks), operator (also starts and cancels) or admin (also backups, prunes and
tokens). --scope limits the token to some sessions. An admin has no scope.

The secret is the only text on standard output.`,
		Example: `  rouse token create --name render-bot --role operator --scope 'comp/ws-0*'
  rouse token create --name wall --role viewer --expires 365d --json`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if r.Name == "" {
				return usagef("--name is required: give the program or the person that gets the token")
			}
			if role == "" {
				return usagef("--role is required: give viewer, operator or admin")
			}
			if err := r.Role.UnmarshalText([]byte(role)); err != nil {
				return err
			}
			if !c.Flags().Changed("expires") {
				r.Lifetime = tokenLifetime
			}
			if err := r.Validate(); err != nil {
				return err
			}
			t.db.mayMake = true
			return t.with(t.offline, func(h *host) error {
				issued, err := h.accessTokens().Create(c.Context(), r, userName())
				if err == nil {
					t.issued(issued)
				}
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&r.Name, "name", "", "`NAME` of the program or person that gets the token")
	f.StringVar(&role, "role", "", "`ROLE`: viewer, operator or admin")
	f.StringArrayVar((*[]string)(&r.Scope), "scope", nil, "only sessions that match `PATTERN`, as in 'comp/ws-0*'; may be repeated (default every session)")
	durationVar(f, &r.Lifetime, "expires", 0, "the token can be used for `DURATION` (default 90d)")
	_ = c.RegisterFlagCompletionFunc("role", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"viewer", "operator", "admin"}, cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

func (t *tool) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List tokens, without their secrets",
		Long: `List tokens, the oldest first, without their secrets.

Tokens that were revoked or have expired are listed for about 30 days.
LAST USED is right to within an hour.`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.reading(t.offline, func(h *host) error {
				all, err := h.accessTokens().List(c.Context())
				if err != nil {
					return err
				}
				now := time.Now()
				rows := [][]string{{"ID", "NAME", "ROLE", "LAST USED", "EXPIRES", "SCOPE"}}
				for _, one := range all {
					if t.json {
						t.screen.record(one)
					}
					rows = append(rows, tokenRow(one, now))
				}
				if !t.json && len(all) > 0 {
					t.screen.table(rows, 1)
				}
				return nil
			})
		},
	}
}

func tokenRow(one access.Token, now time.Time) []string {
	used, ends := "never", day(one.ExpiresAt, now)
	if !one.LastUsedAt.IsZero() {
		used = span(now.Sub(one.LastUsedAt)) + " ago"
	}
	switch err := one.Check(now); {
	case errors.Is(err, access.ErrRevoked):
		ends = "revoked"
	case errors.Is(err, access.ErrExpired):
		ends = "expired"
	}
	return []string{one.ID, one.Name, one.Role.String(), used, ends, one.Scope.String()}
}

// day returns the date of a time in now's zone.
func day(at, now time.Time) string { return at.In(now.Location()).Format(time.DateOnly) }

func (t *tool) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End the use of a token, at once",
		Args:  words(1),
		RunE: func(c *cobra.Command, args []string) error {
			return t.with(t.offline, func(h *host) error {
				one, err := h.accessTokens().Revoke(c.Context(), args[0], userName())
				switch {
				case err != nil:
					return err
				case t.json:
					t.screen.record(one)
				default:
					t.screen.say("token %s of %s is revoked", one.ID, one.Name)
				}
				return nil
			})
		},
	}
}

func (t *tool) tokenRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a token a new secret, and print it once",
		Long: `Give a token a new secret, and print it.

The old secret stops at once. The token can be used for as long again as it
could at first. A token that has expired can be rotated, and one that was
revoked cannot.`,
		Args: words(1),
		RunE: func(c *cobra.Command, args []string) error {
			return t.with(t.offline, func(h *host) error {
				issued, err := h.accessTokens().Rotate(c.Context(), args[0], userName())
				if err == nil {
					t.issued(issued)
				}
				return err
			})
		},
	}
}

// issued prints a secret on standard output, and on standard error what it is for.
func (t *tool) issued(i access.Issued) {
	if t.json {
		t.screen.record(i)
		return
	}
	t.screen.say("%s", string(i.Secret))
	t.screen.note("token %s of %s (%v, %v), until %s: this is the only time that its secret is shown",
		i.ID, i.Name, i.Role, i.Scope, day(i.ExpiresAt, time.Now()))
}

// accessTokens returns the access tokens of the database, or of the process that runs the
// engine on it.
func (h *host) accessTokens() api.Tokens {
	if c, ok := h.engine.(*api.Client); ok {
		return c.Tokens()
	}
	return h.tokens
}
