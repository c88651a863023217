package settings

import "testing"

// TestMeantURL checks the suggestion for an endpoint without a scheme.
func TestMeantURL(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"127.0.0.1:8080":     "; did you mean http://127.0.0.1:8080?",
		"localhost:8080":     "; did you mean http://localhost:8080?",
		"studio.example.com": "; did you mean https://studio.example.com?",
		"ftp://127.0.0.1":    "",
		"":                   "",
		"a b":                "",
	} {
		if got := meantURL(endpoint); got != want {
			t.Errorf("meantURL(%q) = %q, want %q", endpoint, got, want)
		}
	}
}
