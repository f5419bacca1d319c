// Package program builds the program under test and runs it as its users do, as
// child processes with command lines and signals. It serves the tests of e2e and the
// command of the fault checker.
package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build compiles the program of this module to path, with the race detector if the
// caller is built with it. flags are further flags of go build.
func Build(path string, flags ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	if RaceDetector {
		flags = append(flags, "-race")
	}
	command := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), ".")...)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program under test: %w\n%s", err, out)
	}
	return nil
}

// Root returns the directory of the module that contains the working directory.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the directory of the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
