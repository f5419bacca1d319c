package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Options say how the program is run.
type Options struct {
	// Name is for people, Binary the program, Args its arguments.
	Name, Binary string
	Args         []string
	// Dir is the working directory, Log the file that standard output and error
	// are appended to.
	Dir, Log string
	// Line, if set, gets every complete line that the program logs.
	Line func(line string)
}

// Process is one run of the program.
type Process struct {
	name    string
	command *exec.Cmd
	ready   chan struct{}
	exited  chan struct{}
	line    func(string)

	mu   sync.Mutex
	urls map[string]string
}

// Start runs the program without waiting for anything. It has no more environment
// than it needs, so that nobody's own settings decide anything; GORACE keeps the
// race detector from adding a second to every stop.
func Start(o Options) (*Process, error) {
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	p := &Process{name: o.Name, line: o.Line, ready: make(chan struct{}), exited: make(chan struct{}), urls: make(map[string]string)}
	p.command = exec.Command(o.Binary, o.Args...)
	p.command.Dir = o.Dir
	p.command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir, "GORACE=atexit_sleep_ms=0"}
	out := newLines(log, p.read)
	p.command.Stdout, p.command.Stderr = log, out
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
		close(p.ready)
	}
}

// AwaitReady waits until the process says in its log that it is ready.
func (p *Process) AwaitReady(within time.Duration) error {
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return fmt.Errorf("%s ended while it started, with exit code %d", p.name, p.command.ProcessState.ExitCode())
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
	if code := p.command.ProcessState.ExitCode(); code != 0 {
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
