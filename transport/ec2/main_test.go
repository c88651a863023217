package ec2_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rouse-dev/rouse/internal/scale"
)

func TestMain(m *testing.M) {
	if env := os.Getenv(crashEnv); env != "" {
		if err := crashHost(env); err != nil {
			fmt.Fprintln(os.Stderr, "host:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	scale.Parallel(6)
	code := m.Run()
	if motoStarted.Load() {
		if s, err := moto(); err == nil {
			s.stop()
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
