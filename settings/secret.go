package settings

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/rouse-dev/rouse/internal/secret"
)

// noSecrets is the message for what looks like a secret, which is not quoted.
const noSecrets = "this looks like a secret, and a settings file is no place for one; keep it in the environment of the process " +
	"or in the AWS settings, and give its name here (password_env, secret_env, profile)"

var (
	aboutOne   = regexp.MustCompile(`(?i)[_-](file|path|dir|env)$`)
	secretText = regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY`)
)

// secretName reports whether name stands for a secret, and not for the place where one
// is.
func secretName(name string) bool { return secret.Name(name) && !aboutOne.MatchString(name) }

// secretEnv reads names of environment variables whose values are hidden in what commands
// print.
func secretEnv(t *table) []string {
	names := t.texts("secret_env")
	for _, name := range names {
		if !isVariable(name) {
			t.wrong("secret_env", "want names of environment variables, and no values")
		}
	}
	return names
}

// harmless reports whether a text may be in a settings file. It reports a mistake if not.
func (t *table) harmless(key, text string) bool {
	if !secretText.MatchString(text) && !hasPassword(text) {
		return true
	}
	t.wrong(key, "%s", noSecrets)
	return false
}

// hasPassword reports whether a text is a URL with a password in it.
func hasPassword(text string) bool {
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		return false
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	user, _, ok := strings.Cut(rest, "@")
	if u, err := url.Parse(text); err == nil && u.User != nil {
		_, ok = u.User.Password()
		return ok
	}
	return ok && strings.Contains(user, ":")
}
