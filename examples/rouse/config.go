package main

import (
	"context"
	"errors"
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
		Short: "Check the settings: what serves which studio",
		Args:  cobra.ArbitraryArgs,
		RunE:  t.group,
	}
	c.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with the settings, or what serves what",
		Long: `Check reads the settings of FILE, or those that other commands would use, and
what they point to: the AWS settings, environment variables. No provider is
asked. It prints what serves which studio, or all that is wrong, each thing with
its line and key; the exit status is then 1.

The settings are a TOML file; "go doc github.com/rouse-dev/rouse/settings" shows
one with all its keys.`,
		Example: `  rouse config check rouse.toml
  rouse --transport ec2 --region us-west-2 config check`,
		Args: words(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if len(t.provider.given) > 0 || t.provider.config != "" {
					return usagef("FILE is checked alone: leave out the flags that say what serves the studios")
				}
				t.provider.config, t.provider.chosen = args[0], true
			}
			return t.checkConfig(c.Context())
		},
	})
	return c
}

func (t *tool) checkConfig(ctx context.Context) error {
	s, err := t.provider.load()
	if err == nil {
		_, err = t.provider.client(ctx)
		defer t.provider.close()
	}
	var wrong settings.Errors
	switch {
	case errors.As(err, &wrong):
		return wrong // what was asked for, and no wrong usage
	case err != nil:
		return err
	case t.json:
		for _, one := range s.Studios {
			t.screen.record(servedRecord{one.Pattern, one.Transport, one.Where, one.Probe.String(), one.Lane})
		}
		for _, l := range s.Lanes {
			t.screen.record(boundRecord{l.Name, l.Concurrency, l.Rate})
		}
		return nil
	}
	t.screen.table(servedRows(s), 0, 3)
	if len(s.Lanes) > 0 {
		t.screen.say("")
		t.screen.table(boundRows(s))
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
