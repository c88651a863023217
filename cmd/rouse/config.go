package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/settings"
)

// servedRecord is a studio as "config check" prints it with --json.
type servedRecord struct {
	Studio    string `json:"studio"`
	Transport string `json:"transport"`
	Where     string `json:"where"`
	Probe     string `json:"probe"`
	Lane      string `json:"lane,omitempty"`
	// With --online only:
	Sessions *int   `json:"sessions,omitempty"` // how many sessions the provider lists on its first page
	More     bool   `json:"more,omitempty"`     // whether there are more pages
	Skipped  string `json:"skipped,omitempty"`
	Error    string `json:"error,omitempty"`
}

// boundRecord is a lane as "config check" prints it with --json.
type boundRecord struct {
	Lane        string  `json:"lane"`
	Concurrency int     `json:"concurrency,omitempty"`
	Rate        float64 `json:"rate,omitempty"`
}

func (t *tool) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the settings file",
		Args:  cobra.ArbitraryArgs,
		RunE:  t.group,
	}
	var online bool
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the settings, and print what serves what",
		Long: `Check the settings, and print what serves which studio.

Config check reads FILE, or else the settings that other commands would use.
It also checks the AWS settings and environment variables that they name. It
prints every mistake with its line and key; the exit status is then 1.

With --online, it asks each provider for its sessions. That shows whether the
provider can be reached, and whether region, credentials and tags are right.
"rouse start --check" does so for one session.

docs/settings.md lists all keys of the settings file.`,
		Example: `  rouse config check rouse.toml
  rouse config check --online rouse.toml
  rouse --transport ec2 --region us-west-2 config check`,
		Args: words(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if len(t.provider.given) > 0 || t.provider.config != "" {
					return usagef("config check FILE reads only that file; leave out --config and the flags that select a transport")
				}
				t.provider.config, t.provider.chosen = args[0], true
			}
			return t.checkConfig(c.Context(), online)
		},
	}
	check.Flags().BoolVar(&online, "online", false, "also ask each provider for its sessions")
	c.AddCommand(check)
	return c
}

func (t *tool) checkConfig(ctx context.Context, online bool) error {
	s, err := t.provider.load()
	var client *settings.Transport
	var herr, gerr, kerr error
	if err == nil {
		client, err = t.provider.client(ctx)
		defer t.provider.close()
		_, herr = t.provider.openHooks()
		_, gerr = t.guard(nil)
		_, kerr = t.accessKeys()
	}
	var wrong settings.Errors
	for _, err := range []error{err, herr, gerr, kerr} {
		var some settings.Errors
		if errors.As(err, &some) {
			wrong = append(wrong, some...)
		}
	}
	switch {
	case len(wrong) > 0:
		return wrong // the file or the settings are wrong, not the flags
	case err != nil:
		return err
	case !t.json:
		t.screen.table(servedRows(s), 0, 3)
		if len(s.Lanes) > 0 {
			t.screen.say("")
			t.screen.table(boundRows(s))
		}
		if len(s.Hooks) > 0 {
			t.screen.say("")
			t.screen.table(hookRows(s), 1)
		}
	}
	failed := 0
	for _, one := range s.Studios {
		r := servedRecord{Studio: one.Pattern, Transport: one.Transport, Where: one.Where, Probe: one.Probe.String(), Lane: one.Lane}
		if online && !t.online(ctx, client, one, &r) {
			failed++
		}
		switch {
		case t.json:
			t.screen.record(r)
		case online:
			t.screen.say("%s: %s", one.Pattern, r.onlineText())
		}
	}
	if t.json {
		for _, l := range s.Lanes {
			t.screen.record(boundRecord{l.Name, l.Concurrency, l.Rate})
		}
		for _, h := range s.Hooks {
			t.screen.record(hookRecord{h.Name, h.Where})
		}
	}
	return failedOnline(ctx, failed)
}

// online asks a studio's provider for its sessions and fills in r. It reports whether the
// studio passes.
func (t *tool) online(ctx context.Context, client *settings.Transport, one settings.Studio, r *servedRecord) bool {
	ctx, done := context.WithTimeout(ctx, t.provider.timeout())
	defer done()
	found, err := client.LookUp(ctx, one)
	r.More, r.Skipped = found.More, found.Skipped
	switch {
	case err != nil:
		r.Error = plain(err)
	case found.Skipped == "":
		r.Sessions = &found.Sessions
	}
	return err == nil
}

func (r *servedRecord) onlineText() string {
	switch {
	case r.Error != "":
		return r.Error
	case r.Sessions == nil:
		return "not looked up: " + r.Skipped
	case r.More:
		return fmt.Sprintf("more than %d sessions", *r.Sessions)
	}
	return plural(*r.Sessions, "session", "sessions")
}

// failedOnline returns the error of a check that some providers failed.
func failedOnline(ctx context.Context, failed int) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed > 0:
		return fmt.Errorf("%s failed the check", plural(failed, "provider", "providers"))
	}
	return nil
}

func servedRows(s *settings.Settings) [][]string {
	rows := [][]string{{"STUDIO", "TRANSPORT", "PROBE", "LANE", "WHERE"}}
	for _, one := range s.Studios {
		lane := one.Lane
		if lane == "" {
			lane = "its own"
		}
		rows = append(rows, []string{one.Pattern, one.Transport, one.Probe.String(), lane, one.Where})
	}
	return rows
}

func boundRows(s *settings.Settings) [][]string {
	rows := [][]string{{"LANE", "CALLS AT ONCE", "A SECOND"}}
	for _, l := range s.Lanes {
		row := []string{l.Name, "default", "default"}
		if l.Concurrency > 0 {
			row[1] = strconv.Itoa(l.Concurrency)
		}
		if l.Rate > 0 {
			row[2] = strconv.FormatFloat(l.Rate, 'g', -1, 64)
		}
		rows = append(rows, row)
	}
	return rows
}
