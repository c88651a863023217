// Package secret recognizes environment variables that hold secrets, and hides their values in
// texts.
package secret

import (
	"cmp"
	"slices"
	"strings"
)

// names are the parts of a variable's name that make it count as a secret.
var names = []string{"PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL"}

// folders are variables of a shell whose names look like a secret's, and that hold none.
var folders = []string{"PWD", "OLDPWD"}

// Name reports whether a variable of this name counts as a secret. Its name, in upper or
// lower case, has PASS, PWD, SECRET, TOKEN, KEY or CREDENTIAL in it. PWD and OLDPWD do
// not count.
func Name(name string) bool {
	name = strings.ToUpper(name)
	return !slices.Contains(folders, name) &&
		slices.ContainsFunc(names, func(part string) bool { return strings.Contains(name, part) })
}

// MinLength is how many bytes a value must have to be hidden. A shorter one, such as "1", would be
// replaced in every text.
const MinLength = 6

// Mark replaces a secret in every text of this module.
const Mark = "[secret]"

// Values are secret values without duplicates, the longest first.
type Values []string

// Of returns the secret values of env, whose elements are "NAME=value". They are the
// values of variables for which Name is true, and of those named in marked. A value with
// white space around it is also hidden without it. If a value has several lines, such as
// a private key, each line is a value too.
func Of(env, marked []string) Values {
	var out Values
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if !Name(name) && !slices.Contains(marked, name) {
			continue
		}
		forms := []string{value, strings.TrimSpace(value)}
		for line := range strings.Lines(value) {
			forms = append(forms, strings.TrimSpace(line))
		}
		for _, form := range forms {
			if len(form) >= MinLength {
				out = append(out, form)
			}
		}
	}
	// One value may contain another.
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// Hide replaces every value in text.
func (v Values) Hide(text string) string {
	for _, value := range v {
		text = strings.ReplaceAll(text, value, Mark)
	}
	return text
}

// HideTail is Hide for the end of a longer text. The text may begin inside a value.
func (v Values) HideTail(text string) string {
	longest := 0
	for _, value := range v {
		for n := min(len(value), len(text)); n > longest; n-- {
			if strings.HasPrefix(text, value[len(value)-n:]) {
				longest = n
			}
		}
	}
	if longest > 0 {
		text = Mark + text[longest:]
	}
	return v.Hide(text)
}
