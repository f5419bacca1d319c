package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Options are how the program is run.
type Options struct {
	// Name is used in errors.
	Name, Binary string
	Args         []string
	// Env has variables such as LOG_LEVEL=debug. Apart from these the program gets only
	// PATH and HOME, so that the user's settings have no effect.
	Env []string
	// Dir is the working directory, and the home directory.
	Dir string
	// Line, if set, is called for every complete line that a [Process] logs.
	Line func(line string)
}

// command returns the command. GORACE keeps the race detector from adding a second to
// every stop.
func (o Options) command(ctx context.Context) *exec.Cmd {
	command := exec.CommandContext(ctx, o.Binary, o.Args...)
	command.Dir = o.Dir
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir, "GORACE=atexit_sleep_ms=0"}, o.Env...)
	return command
}

// Result is the exit code and the output of a command.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command to its end. It returns an error if the command cannot be started
// or does not end in time, but none for its exit code.
func Run(o Options, within time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	command := o.command(ctx)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("%s did not end within %s: %s%s", o.Name, within, &stdout, &stderr)
	}
	if command.ProcessState == nil {
		return Result{}, fmt.Errorf("run %s: %w", o.Name, err)
	}
	return Result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}
