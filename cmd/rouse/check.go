package main

import (
	"context"
	"fmt"

	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/store/bolt/repair"
	"github.com/spf13/cobra"
)

// checkRecord is what "check" prints with --json.
type checkRecord struct {
	Path       string          `json:"path"`
	Operations int             `json:"operations"`
	Events     int             `json:"events"`
	Tokens     int             `json:"tokens"`
	Lanes      int             `json:"lanes"`
	Problems   []problemRecord `json:"problems"`
}

type problemRecord struct {
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	Detail string `json:"detail"`
}

func problemsOf(r bolt.Report) []problemRecord {
	out := []problemRecord{}
	for _, p := range r.Problems {
		out = append(out, problemRecord{Bucket: p.Bucket, Key: p.Key, Detail: p.Detail})
	}
	return out
}

func (t *tool) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look for damage in the database",
		Long: `Read every page and record of the database, and print all damage.

Check changes nothing. A child process does the reading, with limited memory
and time, because a damaged page can crash its reader.

Exit status:
  0  the database is sound
  1  it is damaged
  1  the check did not finish, so nothing is known; the message says what to do
  3  not acknowledged: another process has the database open and does not answer`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error { return t.check(c.Context()) },
	}
}

func (t *tool) check(ctx context.Context) error {
	path, err := t.db.find()
	if err != nil {
		return err
	}
	r, err := repair.Check(ctx, path, repair.CheckConfig{Do: t.runInChild})
	if err != nil {
		return err
	}
	if t.json {
		t.screen.record(checkRecord{
			Path: path, Operations: r.Operations, Events: r.Events, Tokens: r.Tokens, Lanes: r.Lanes, Problems: problemsOf(r),
		})
	} else {
		t.printReport(path, r)
	}
	if n := len(r.Problems); n > 0 {
		return fmt.Errorf("%s is damaged (%s): run %q, which prints what is lost", path, plural(n, "problem", "problems"), "rouse repair --db "+path)
	}
	return nil
}

// fewProblems is how many problems the command prints one by one. The JSON has all of
// them.
const fewProblems = 50

func (t *tool) printReport(path string, r bolt.Report) {
	for i, p := range r.Problems {
		switch {
		case i == fewProblems:
			t.screen.say("… and %d more; --json prints all", len(r.Problems)-i)
		case i > fewProblems:
		case p.Bucket == "":
			t.screen.say("pages: %s", p.Detail)
		default:
			t.screen.say("%s %s: %s", p.Bucket, p.Key, p.Detail)
		}
	}
	t.screen.say("%s: %s, %s, %s, %s: %d damaged", path, plural(r.Operations, "operation", "operations"), plural(r.Events, "event", "events"),
		plural(r.Tokens, "token", "tokens"), plural(r.Lanes, "lane", "lanes"), len(r.Problems))
}
