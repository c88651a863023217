package ec2_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if motoStarted.Load() {
		if s, err := moto(); err == nil {
			s.stop()
		}
	}
	os.Exit(code)
}
