package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pageVar is the environment variable that names the page in docs/providers that a
// process follows.
const pageVar = "ROUSE_DOCS_PAGE"

// counterparts are the providers against which the pages in docs/providers are followed.
// Each is in a network namespace of its own, so that its addresses and ports can be those
// that the page names.
var counterparts = map[string]func(t *testing.T, f *follower){
	"ec2":     cloud,
	"wol":     shelf,
	"exec":    rack,
	"libvirt": guests,
}

// TestTenMinutes follows the section "Try it" of each page word for word. It writes the
// settings, runs the commands, and compares what they print.
func TestTenMinutes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		missing(t, "network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		missing(t, "no ip command: apt-get install iproute2")
	}
	n := 0
	for name := range counterparts {
		n++
		ns := fmt.Sprintf("rouse-docs-%d-%d", os.Getpid(), n)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
				missing(t, fmt.Sprintf("no network namespaces here: %v: %s", err, out))
			}
			t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
			cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, os.Args[0], "-test.run=^TestSection$", "-test.v")
			cmd.Env = append(os.Environ(), pageVar+"="+name)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case bytes.Contains(out, []byte("--- SKIP")):
				missing(t, string(out))
			case !bytes.Contains(out, []byte("--- PASS: TestSection")):
				t.Errorf("it did not run:\n%s", out)
			}
		})
	}
}

// missing skips the test, except where everything that can be installed must run.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestSection is what the processes of TestTenMinutes run.
func TestSection(t *testing.T) {
	name := os.Getenv(pageVar)
	prepare := counterparts[name]
	if prepare == nil {
		t.Skip("run by TestTenMinutes")
	}
	ip(t, "link set lo up")
	f := &follower{dir: t.TempDir()}
	f.env = append(environment(f.dir), "PATH="+os.Getenv("PATH"))
	prepare(t, f)
	f.follow(t, name)
	for _, check := range f.then {
		check()
	}
}

// follower is a user who follows a page.
type follower struct {
	dir  string
	env  []string
	then []func() // runs when the whole page has been followed
}

var (
	fence    = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```\n")
	headline = regexp.MustCompile(`(?m)^## `)
)

// follow does what the section "Try it" of a page says. It writes blocks of toml to
// rouse.toml and runs blocks of sh. Blocks without a language are what the user sees,
// where "…" stands for any text.
func (f *follower) follow(t *testing.T, name string) {
	t.Helper()
	page := "docs/providers/" + name + ".md"
	whole, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(whole), "\n## Try it\n")
	if !ok {
		t.Fatalf("%s has no section \"Try it\"", page)
	}
	if end := headline.FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	seen, shown := "", ""
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		switch block[1] {
		case "toml":
			if err := os.WriteFile(filepath.Join(f.dir, "rouse.toml"), []byte(block[2]), 0o600); err != nil {
				t.Fatal(err)
			}
		case "sh":
			seen += f.shell(t, block[2])
		case "":
			shown += block[2]
		}
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(shown), "…", ".*")
	if shown == "" || !regexp.MustCompile(`^`+pattern+`$`).MatchString(seen) {
		t.Errorf("%s shows\n%s\nand the user sees\n%s", page, shown, seen)
	}
}

// shell runs commands, and returns what they print.
func (f *follower) shell(t *testing.T, commands string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "sh", "-e")
	cmd.WaitDelay = time.Second
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = f.dir, f.env, strings.NewReader(commands), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v\n%s%s", commands, err, out, &stderr)
	}
	return string(out)
}

// ip runs a command of iproute2.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// within waits for an effect of a real process.
func within(t *testing.T, most time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(most); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen", what)
		}
	}
}
