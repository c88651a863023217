package child_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
)

const asChild = "CHILD_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "":
		os.Exit(m.Run())
	case "ends":
		fmt.Print("one\ntwo\nhal")
		os.Exit(3)
	case "stays":
		fmt.Println("here")
		time.Sleep(time.Hour)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	var lines []string
	p := child.Start(t, child.Self(t, asChild, "ends"), func(line string) { lines = append(lines, line) })
	if err := p.Wait(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("it ended with %v", err)
	}
	if p.Kill() {
		t.Error("Kill reports a kill of a process that ended by itself")
	}
	if !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("it printed %q; want two lines, without the one that was cut short", lines)
	}
}

// TestNoneIsLeft checks that a process ends with the test that started it.
func TestNoneIsLeft(t *testing.T) {
	t.Parallel()
	var p *child.Process
	t.Run("a test that ends no process", func(t *testing.T) {
		here := make(chan struct{})
		p = child.Start(t, child.Self(t, asChild, "stays"), func(string) { close(here) })
		<-here
	})
	select {
	case <-p.Ended:
	default:
		t.Fatal("the child outlived its test")
	}
	if !p.Kill() {
		t.Error("Kill reports that a killed process ended by itself")
	}
}
