package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startWithin is generous, for a busy machine and the race detector.
	startWithin = 30 * time.Second
	// stopWithin is the promise for a clean stop.
	stopWithin = 15 * time.Second
)

// process is one run of the program.
type process struct {
	t              *testing.T
	name           string
	command        *exec.Cmd
	stdout, stderr output
	// started is when it was; became ready is told by the channel.
	started time.Time
	ready   chan struct{}
	// exited is closed when the process is gone and its output is read.
	exited chan struct{}

	mu   sync.Mutex
	urls map[string]string
}

// launch starts the program without waiting for anything. When the test ends,
// the process is stopped, if it still runs, and its log is looked at.
func launch(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := spawn(t, name, env, args...)
	t.Cleanup(p.cleanUp)
	return p
}

// spawn is launch for a process that is to fail.
func spawn(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, ready: make(chan struct{}), exited: make(chan struct{}), urls: make(map[string]string)}
	p.command = newCommand(t, env, args...)
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	p.stderr.line = p.readLog
	p.started = time.Now()
	if err := p.command.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.command.Wait() // the exit code says it
		close(p.exited)
	}()
	return p
}

// newCommand runs the program in an empty directory and with no more environment
// than it is given, so that the developer's own settings decide nothing. GORACE
// keeps the race detector from adding a second to every stop.
func newCommand(t *testing.T, env []string, args ...string) *exec.Cmd {
	command := exec.Command(binary, args...)
	command.Dir = t.TempDir()
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + command.Dir, "GORACE=atexit_sleep_ms=0"}, env...)
	return command
}

// readLog learns from the log what listens where, and when all of it does.
func (p *process) readLog(line string) {
	var entry struct{ Msg, Name, URL string }
	if json.Unmarshal([]byte(line), &entry) != nil {
		return
	}
	switch entry.Msg {
	case "listening":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.urls[entry.Name] = entry.URL
	case "ready":
		close(p.ready)
	}
}

// awaitReady waits until the process says that it is ready.
func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-p.ready:
	case <-p.exited:
		t.Fatalf("%s ended while it started, with exit code %d", p.name, p.command.ProcessState.ExitCode())
	case <-time.After(startWithin):
		t.Fatalf("%s was not ready within %s", p.name, startWithin)
	}
}

// gone says that the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// url is where the listener of that name is, by the process's own words.
func (p *process) url(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urls[name]
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("send %v to %s: %v", s, p.name, err)
	}
}

// freeze stops the process where it is and waits until all of its threads stand
// still, which on a busy machine takes longer than to send the signal.
func (p *process) freeze(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.command.Process.Pid, &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			t.Fatalf("%s does not stand still: %v, %v", p.name, status, err)
		}
		return
	}
}

// thaw lets a frozen process go on.
func (p *process) thaw(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

// kill is kill -9.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.exited
}

// terminate asks for a clean stop and wants one: in time and with exit code 0.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	begin := time.Now()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		p.kill(t)
		t.Errorf("%s did not stop within %s", p.name, stopWithin)
		return
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s stopped with exit code %d", p.name, code)
	}
	t.Logf("%s stopped in %s", p.name, time.Since(begin).Round(time.Millisecond))
}

func (p *process) cleanUp() {
	if !p.gone() {
		p.terminate(p.t)
	}
	p.checkLog()
	if p.t.Failed() {
		p.t.Logf("%s: %v\n--- stdout\n%s--- stderr\n%s", p.name, p.command.Args, p.stdout.tail(), p.stderr.tail())
	}
}

// checkLog wants the log to be one: no report of the race detector, no panic, no
// library that prints on its own, no error of ours, and nothing of what belongs
// to the cardholder.
func (p *process) checkLog() {
	for line := range strings.Lines(p.stderr.String()) {
		if !strings.HasSuffix(line, "\n") {
			return // kill -9 cut it off
		}
		var entry struct{ Level string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			p.t.Errorf("%s wrote what is no log line: %s", p.name, line)
			return
		}
		if entry.Level == "ERROR" || strings.Contains(line, cardNumber) {
			p.t.Errorf("%s logged: %s", p.name, line)
		}
	}
}

// result is what a command that ends by itself said.
type result struct {
	code           int
	stdout, stderr string
}

// runToEnd runs a command that has to end by itself.
func runToEnd(t *testing.T, env []string, args ...string) result {
	t.Helper()
	command := newCommand(t, env, args...)
	var stdout, stderr output
	command.Stdout, command.Stderr = &stdout, &stderr
	timer := time.AfterFunc(startWithin, func() { _ = command.Process.Kill() }) // its exit code then says so
	defer timer.Stop()
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatalf("run %v: %v", args, err)
	}
	return result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// output keeps what a process writes, and hands on each line of it.
type output struct {
	line func(string)

	mu   sync.Mutex
	text strings.Builder
	rest string
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	o.rest += string(p)
	for {
		line, rest, complete := strings.Cut(o.rest, "\n")
		if !complete {
			return len(p), nil
		}
		o.rest = rest
		if o.line != nil {
			o.line(line)
		}
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is the end of it, as much as a failing test should show.
func (o *output) tail() string {
	const most = 6 << 10
	text := o.String()
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("... %d bytes left out ...\n%s", len(text)-most, text[len(text)-most:])
}
