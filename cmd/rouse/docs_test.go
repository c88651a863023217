package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const cliPage = "../../docs/cli.md"

// TestCommandPage checks that docs/cli.md has the help of each command, word for word.
// ROUSE_GOLDEN=write writes that part of the page.
func TestCommandPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- generated: ROUSE_GOLDEN=write go test -run TestCommandPage ./cmd/rouse -->\n"
	head, got, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no line %q", cliPage, mark)
	}
	var b strings.Builder
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		c.InitDefaultHelpFlag()
		page, _, _ := strings.Cut(helpText(c), "\nFlags of every command:\n")
		b.WriteString("\n## " + c.CommandPath() + "\n\n```text\n" + strings.TrimRight(page, "\n") + "\n```\n")
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(newTool(io.Discard, io.Discard).commands())
	if want := b.String(); got != want {
		if os.Getenv("ROUSE_GOLDEN") != "write" {
			t.Fatalf("%s differs from the help of the commands: run this test with ROUSE_GOLDEN=write", cliPage)
		}
		if err := os.WriteFile(cliPage, []byte(head+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
