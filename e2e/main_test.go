package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	flag.Parse()
	if err := runMoreAtOnce(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "payrelay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory harms nobody
	binary = filepath.Join(dir, "app")
	if err := program.Build(binary); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// runMoreAtOnce lets more tests run at a time than there are processors, unless
// the command line says how many: they spend most of their time waiting for the
// processes that they have hit.
func runMoreAtOnce() error {
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if chosen {
		return nil
	}
	return flag.Set("test.parallel", "6")
}

// eventually waits until ok, and fails the test when that takes longer than
// within. what ends the sentence "it did not happen that ...".
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(within); !ok(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it did not happen within %s that %s", within, what)
		}
	}
}
