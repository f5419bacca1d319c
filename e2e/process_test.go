package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
)

const (
	// startWithin is long enough for a busy machine and the race detector.
	startWithin = 30 * time.Second
	// stopWithin is the promise for a clean stop.
	stopWithin = 15 * time.Second
)

// process is one run of the program, with the files that it writes to.
type process struct {
	*program.Process
	name                string
	args                []string
	outputFile, logFile string
}

// launch starts the program and waits until it is ready. When the test ends, the
// process is stopped, if it still runs, and its log is checked.
func launch(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := spawn(t, name, env, args...)
	t.Cleanup(func() { p.cleanUp(t) })
	check(t, p.AwaitReady(startWithin))
	return p
}

// spawn starts a process that is expected to fail, or does not serve. It does not
// wait, and when the test ends the process is killed.
func spawn(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{name: name, args: args, outputFile: filepath.Join(dir, "stdout"), logFile: filepath.Join(dir, "stderr")}
	var err error
	p.Process, err = program.Start(invocation(t, name, env, args...), p.outputFile, p.logFile)
	check(t, err)
	t.Cleanup(func() { check(t, p.Kill()) })
	return p
}

// invocation returns the options to run the program in an empty directory.
func invocation(t *testing.T, name string, env []string, args ...string) program.Options {
	return program.Options{Name: name, Binary: binary, Args: args, Env: env, Dir: t.TempDir()}
}

// runToEnd runs a command and waits for its end.
func runToEnd(t *testing.T, env []string, args ...string) program.Result {
	t.Helper()
	r, err := program.Run(invocation(t, strings.Join(args, " "), env, args...), startWithin)
	check(t, err)
	return r
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill(t *testing.T) {
	t.Helper()
	check(t, p.Kill())
}

// terminate sends SIGTERM and requires a clean stop.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := p.Terminate(stopWithin); err != nil {
		t.Error(err)
	}
	t.Logf("%s stopped in %s", p.name, time.Since(begin).Round(time.Millisecond))
}

func (p *process) cleanUp(t *testing.T) {
	if !p.Gone() {
		p.terminate(t)
	}
	p.checkLog(t)
	if t.Failed() {
		t.Logf("%s: %q\n--- stdout\n%s--- stderr\n%s", p.name, p.args, tail(p.output(t)), tail(p.log(t)))
	}
}

func (p *process) checkLog(t *testing.T) {
	for line := range strings.Lines(p.log(t)) {
		if !strings.HasSuffix(line, "\n") {
			return // SIGKILL cut it off
		}
		if err := program.CheckLog(line, cardNumber); err != nil {
			t.Errorf("%s logged %v", p.name, err)
			return
		}
	}
}

// output returns what the process has written to standard output so far.
func (p *process) output(t *testing.T) string { return content(t, p.outputFile) }

// log returns what the process has written to standard error so far.
func (p *process) log(t *testing.T) string { return content(t, p.logFile) }

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	return string(text)
}

// tail returns the end of a text that is too long for the log of a test.
func tail(text string) string {
	const most = 6 << 10
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("... %d bytes omitted ...\n%s", len(text)-most, text[len(text)-most:])
}
