package hook

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
)

// TestReceiver runs the receiver of docs/hooks.md. It takes what a hook sends, prints a
// delivery once, and refuses what was changed, is old, or has another secret.
func TestReceiver(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	page, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```python\n")
	text, _, _ = strings.Cut(text, "```")
	program := filepath.Join(t.TempDir(), "receiver.py")
	if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 10)
	c := exec.Command(python, program, "0")
	c.Env = append(os.Environ(), "ROUSE_HOOK_SECRET=open sesame")
	c.Stderr = os.Stderr
	child.Start(t, c, func(line string) { said <- line })
	next := func() string {
		select {
		case line := <-said:
			return line
		case <-time.After(20 * time.Second):
			t.Fatal("the receiver prints nothing")
			return ""
		}
	}
	port, ok := strings.CutPrefix(next(), "listening on ")
	if !ok {
		t.Fatal("the receiver does not listen")
	}
	url := "http://127.0.0.1:" + port
	d := sample()
	send := func(secret string) error {
		return newURLSender(Hook{Name: "chat", URL: url, Secret: secret}).send(t.Context(), d)
	}
	for range 2 {
		if err := send("open sesame"); err != nil {
			t.Fatal(err)
		}
	}
	if got := next(); got != "failed lab/ws-1 FAILED" {
		t.Errorf("the receiver printed %q", got)
	}
	for _, secret := range []string{"close sesame", ""} {
		if err := send(secret); err == nil || !strings.Contains(err.Error(), "status 401") {
			t.Errorf("secret %q: %v, want status 401", secret, err)
		}
	}
	post := func(age time.Duration, signed, sent string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		timestamp := strconv.FormatInt(time.Now().Add(-age).Unix(), 10)
		r.Header.Set("Rouse-Timestamp", timestamp)
		r.Header.Set("Rouse-Signature", Sign("open sesame", timestamp, []byte(signed)))
		r.Close = true
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	const one, other = `{"id":"1","topic":"failed","text":"one"}`, `{"id":"2","topic":"failed","text":"two"}`
	if code := post(0, one, other); code != http.StatusUnauthorized {
		t.Errorf("a changed body: status %d, want 401", code)
	}
	if code := post(time.Hour, one, one); code != http.StatusUnauthorized {
		t.Errorf("an old request: status %d, want 401", code)
	}
	if code := post(0, one, one); code != http.StatusNoContent || next() != "failed one" {
		t.Errorf("a good request: status %d, want 204", code)
	}
}
