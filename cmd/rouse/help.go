package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// helped makes help for a command that does not exist wrong usage, with a
// suggestion: cobra prints the help of the closest parent, with exit status 0.
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
	show := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) { // of --help
		if c.HasSubCommands() && c.Flags().NArg() > 0 {
			t.misnamed = unknownCommand(c, c.Flags().Arg(0))
			return
		}
		show(c, args)
	})
}

// group is a command that only has others below it, called without one of them.
func (t *tool) group(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	c.SetOut(t.screen.err)
	return errors.Join(errHelped, c.Help())
}

// unknownCommand is the error of a word that names no command below c.
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
