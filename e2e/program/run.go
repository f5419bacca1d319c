package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Options say how the program is run.
type Options struct {
	// Name is for people, Binary the program, Args its arguments.
	Name, Binary string
	Args         []string
	// Env is the environment, such as LOG_LEVEL=debug. There is no more of it than
	// what every program needs, so that nobody's own settings decide anything.
	Env []string
	// Dir is the working directory, and the home.
	Dir string
	// Line, if set, gets every complete line that a [Process] logs.
	Line func(line string)
}

// command is how the program is run. GORACE keeps the race detector from adding a
// second to every stop.
func (o Options) command(ctx context.Context) *exec.Cmd {
	command := exec.CommandContext(ctx, o.Binary, o.Args...)
	command.Dir = o.Dir
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir, "GORACE=atexit_sleep_ms=0"}, o.Env...)
	return command
}

// Result is what a command that ends by itself said.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command that has to end by itself in time, with whatever exit code.
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
