package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is one run of the program in the background.
type Process struct {
	name    string
	command *exec.Cmd
	line    func(string)

	ready     chan struct{}
	readyOnce sync.Once
	exited    chan struct{}

	mu   sync.Mutex
	urls map[string]string
}

// Start starts the program and does not wait until it is ready. Its standard output
// and standard error are appended to two files.
func Start(o Options, outputFile, logFile string) (*Process, error) {
	output, err := openToAppend(outputFile)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	defer output.Close() // the process has its own copy
	log, err := openToAppend(logFile)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	p := &Process{name: o.Name, line: o.Line, ready: make(chan struct{}), exited: make(chan struct{}), urls: make(map[string]string)}
	p.command = o.command(context.Background())
	out := newLines(log, p.read)
	p.command.Stdout, p.command.Stderr = output, out
	if err := p.command.Start(); err != nil {
		out.close()
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Name, err), log.Close())
	}
	go func() {
		_ = p.command.Wait() // see ExitCode
		out.close()
		_ = log.Close() // only people read it
		close(p.exited)
	}()
	return p, nil
}

func openToAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// read takes the URLs of listeners and the readiness from a line of the log.
func (p *Process) read(line string) {
	if p.line != nil {
		p.line(line)
	}
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
		p.readyOnce.Do(func() { close(p.ready) })
	}
}

// AwaitReady waits until the process logs that it is ready.
func (p *Process) AwaitReady(within time.Duration) error {
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("%s ended before it was ready, with exit code %d", p.name, p.ExitCode())
	case <-time.After(within):
		return fmt.Errorf("%s was not ready within %s", p.name, within)
	}
}

// URL returns the URL that the process has logged for a listener, or "".
func (p *Process) URL(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urls[listener]
}

// PID returns the process ID.
func (p *Process) PID() int { return p.command.Process.Pid }

// Exited returns a channel that is closed when the process has ended and its output
// is read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// ExitCode returns the exit code of a process that has ended, or -1 if it was ended
// by a signal.
func (p *Process) ExitCode() int { return p.command.ProcessState.ExitCode() }

func (p *Process) signal(s syscall.Signal) error {
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", s, p.name, err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

// Terminate sends SIGTERM, and returns an error unless the process ends in time with
// exit code 0.
func (p *Process) Terminate(within time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(within):
		return errors.Join(fmt.Errorf("%s did not stop within %s", p.name, within), p.Kill())
	}
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s stopped with exit code %d", p.name, code)
	}
	return nil
}

// Freeze sends SIGSTOP and waits until all threads of the process have stopped, which
// takes a while on a busy machine.
func (p *Process) Freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.PID(), &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			return fmt.Errorf("%s did not stop on SIGSTOP: %v, %w", p.name, status, err)
		}
		return nil
	}
}

// Thaw sends SIGCONT.
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }
