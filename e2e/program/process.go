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

// Process is one run of the program that goes on beside whoever started it.
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

// Start runs the program without waiting for anything. What it writes to standard
// output and error is appended to two files.
func Start(o Options, outputFile, logFile string) (*Process, error) {
	output, err := openToAppend(outputFile)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	defer output.Close() // the process has its own
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
		_ = p.command.Wait() // the exit code says it
		out.close()
		_ = log.Close() // what is written was written
		close(p.exited)
	}()
	return p, nil
}

func openToAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// read learns from the log what listens where, and when all of it does.
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

// AwaitReady waits until the process says in its log that it is ready.
func (p *Process) AwaitReady(within time.Duration) error {
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("%s ended while it started, with exit code %d", p.name, p.ExitCode())
	case <-time.After(within):
		return fmt.Errorf("%s was not ready within %s", p.name, within)
	}
}

// URL is where the listener of that name is, by the process's own words.
func (p *Process) URL(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.urls[listener]
}

// PID is the process's number.
func (p *Process) PID() int { return p.command.Process.Pid }

// Exited is closed when the process is gone and its output is read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Gone says that the process has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// ExitCode is that of a process that is gone, -1 if a signal ended it.
func (p *Process) ExitCode() int { return p.command.ProcessState.ExitCode() }

func (p *Process) signal(s syscall.Signal) error {
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", s, p.name, err)
	}
	return nil
}

// Kill is kill -9.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

// Terminate asks for a clean stop and wants one: in time and with exit code 0.
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

// Freeze stops the process where it is and waits until all of its threads stand
// still, which on a busy machine takes longer than to send the signal.
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
			return fmt.Errorf("%s does not stand still: %v, %w", p.name, status, err)
		}
		return nil
	}
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }
