package ec2_test

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if env := os.Getenv(crashEnv); env != "" {
		if err := crashHost(env); err != nil {
			fmt.Fprintln(os.Stderr, "host:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if motoStarted.Load() {
		if s, err := moto(); err == nil {
			s.stop()
		}
	}
	os.Exit(code)
}
