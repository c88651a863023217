package secret_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/secret"
)

func TestName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"IPMI_PASSWORD", "IPMI_PASS", "SSHPASS", "MYSQL_PWD", "pgpassword", "SSH_PASSPHRASE", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "GITHUB_TOKEN", "api_key", "PRIVATE_KEY", "GOOGLE_CREDENTIALS", "CREDENTIAL", "OLDPWD2", "PWD_X",
	} {
		if !secret.Name(name) {
			t.Errorf("%s is not taken for a secret", name)
		}
	}
	for _, name := range []string{"PWD", "OLDPWD", "pwd", "HOME", "PATH", "IPMI_USER", "LANG", "", "SSH_AUTH_SOCK"} {
		if secret.Name(name) {
			t.Errorf("%s is taken for a secret", name)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	got := secret.Of([]string{
		"SSHPASS=hunter2", "MYSQL_PWD=hunter2-longer", "PWD=/srv/rouse", "OLDPWD=/srv/other", "SHORT_KEY=12345", "SIX_KEY=123456",
		"LOGIN=marked-one", "USER=somebody", "A_TOKEN= spaced-out\n", "B_TOKEN=hunter2", "no pair", "=SECRET",
		"SSH_KEY=--begin--\r\nAAAABBBB\nend\n",
	}, []string{"LOGIN", "NOT_THERE"})
	want := secret.Values{"--begin--\r\nAAAABBBB\nend\n", "--begin--\r\nAAAABBBB\nend", "hunter2-longer", " spaced-out\n", "marked-one", "spaced-out", "--begin--", "AAAABBBB", "hunter2", "123456"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	text := got.Hide("hunter2-longer hunter2 marked-one 12345 123456 spaced-out somebody")
	if text != "[secret] [secret] [secret] 12345 [secret] [secret] somebody" {
		t.Errorf("%q", text)
	}
	if text := got.HideTail("er2-longer and then"); strings.Contains(text, "longer") {
		t.Errorf("%q", text)
	}
}
