package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// helped makes a request for the help of a command that does not exist wrong usage, with
// a suggestion. Cobra itself would print the closest parent's help, with exit status 0.
func (t *tool) helped(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, t.group
		case "help":
			c.Short, c.Long = "Show the help of a command", "Help shows the help of a command, or of rouse."
			c.RunE = func(_ *cobra.Command, args []string) error {
				about, rest, err := root.Find(args)
				if err != nil || about.HasSubCommands() && len(rest) > 0 {
					return unknownCommand(about, rest[0])
				}
				about.InitDefaultHelpFlag()
				about.InitDefaultVersionFlag()
				return about.Help()
			}
		}
	}
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { // the flags of --help
		if c.HasSubCommands() && c.Flags().NArg() > 0 {
			t.unknownHelp = unknownCommand(c, c.Flags().Arg(0))
			return
		}
		_, _ = io.WriteString(c.OutOrStdout(), helpText(c))
	})
}

// helpText returns a page of help: a summary, usage, examples, commands, details,
// flags and related commands.
func helpText(c *cobra.Command) string {
	summary, details, _ := strings.Cut(cmp.Or(c.Long, c.Short+"."), "\n\n")
	var b strings.Builder
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s\n", title, text)
		}
	}
	b.WriteString(summary + "\n")
	usage := c.UseLine()
	if c.HasSubCommands() {
		usage = c.CommandPath() + " COMMAND [flags]"
	}
	section("Usage", "  "+usage)
	section("Examples", c.Example)
	for _, g := range c.Groups() {
		section(g.Title, commandRows(c, g.ID))
	}
	section("Other commands", commandRows(c, ""))
	if details != "" {
		b.WriteString("\n" + strings.TrimSpace(details) + "\n")
	}
	section("Flags", c.LocalFlags().FlagUsagesWrapped(helpWidth))
	section("Flags of every command", c.InheritedFlags().FlagUsagesWrapped(helpWidth))
	if c.HasParent() {
		_, name, _ := strings.Cut(c.CommandPath(), " ")
		section("See also", seeAlso[name])
	} else {
		section("See also", "  \"rouse help COMMAND\" shows the help of a command.")
	}
	return b.String()
}

// helpWidth is how many columns a page of help may take.
const helpWidth = 80

// commandRows lists the commands of a group below c. The group "" holds those that belong
// to no group.
func commandRows(c *cobra.Command, group string) string {
	var b strings.Builder
	for _, sub := range c.Commands() {
		if sub.GroupID == group && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(&b, "  %-11s %s\n", sub.Name(), sub.Short)
		}
	}
	return b.String()
}

// seeAlso has the last lines of a command's help, by the command's name.
var seeAlso = map[string]string{
	"start":        "  rouse run, rouse wait, rouse status, rouse cancel, rouse retry",
	"run":          "  rouse start, rouse ls, rouse stats",
	"cancel":       "  rouse show, rouse retry",
	"retry":        "  rouse ls, rouse show",
	"pause":        "  rouse resume, rouse stats",
	"resume":       "  rouse pause, rouse stats",
	"wait":         "  rouse start --wait, rouse status",
	"status":       "  rouse why, rouse wait, rouse ls",
	"why":          "  rouse status, rouse show",
	"ls":           "  rouse status, rouse show, rouse sessions",
	"show":         "  rouse ls, rouse events, rouse retry",
	"sessions":     "  rouse ls, rouse config check --online",
	"events":       "  rouse show, rouse ls",
	"stats":        "  rouse ls, rouse check",
	"check":        "  rouse repair, rouse backup",
	"config check": "  rouse start --check, rouse sessions",
	"repair":       "  rouse check, rouse backup",
	"backup":       "  rouse check, rouse adopt",
	"adopt":        "  rouse backup, rouse stats",
	"prune":        "  rouse stats",
}

// group runs a command that only groups others, called without one of them.
func (t *tool) group(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	c.SetOut(t.screen.err)
	return errors.Join(errHelped, c.Help())
}

// unknownCommand returns the error for a word that names no command below c.
func unknownCommand(c *cobra.Command, word string) error {
	_, above, _ := strings.Cut(c.CommandPath(), " ")
	name := func(word string) string { return strings.TrimSpace(above + " " + word) }
	c.SuggestionsMinimumDistance = 2 // letters
	like := c.SuggestionsFor(word)
	if len(like) == 0 && len(c.Commands()) == 1 {
		like = []string{c.Commands()[0].Name()}
	}
	if len(like) > 0 {
		return usagef("unknown command %q: did you mean %q?", name(word), name(like[0]))
	}
	return usagef("unknown command %q", name(word))
}
