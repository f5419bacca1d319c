package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWithin = 30 * time.Second
	stopWithin  = 20 * time.Second
	// keptLines is how much of a process's log is shown when it fails.
	keptLines = 10
)

// process is one role.
type process struct {
	name    string
	command *exec.Cmd
	ready   chan struct{}
	// exited is closed when it is gone, and everything that it wrote is read.
	exited chan struct{}
	// stopping is set before it is told to end.
	stopping bool

	mu        sync.Mutex
	listeners map[string]string
	lines     []string
	rest      []byte
}

// launch starts a process that dies with this one.
func launch(name, binary string, env, args []string) (*process, error) {
	p := &process{name: name, ready: make(chan struct{}), exited: make(chan struct{}), listeners: make(map[string]string)}
	p.command = exec.Command(binary, args...)
	p.command.Env = env
	p.command.Stderr = p
	p.command.SysProcAttr = attached()
	if err := start(p.command); err != nil {
		return nil, fmt.Errorf("start app serve %s: %w", name, err)
	}
	go func() {
		_ = p.command.Wait() // failed and stop look at how it ended
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// Write takes the process's log in, line by line.
func (p *process) Write(chunk []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, chunk...)
	for {
		line, rest, complete := bytes.Cut(p.rest, []byte("\n"))
		if !complete {
			return len(chunk), nil
		}
		p.readLine(line)
		p.rest = rest
	}
}

// readLine learns from the log what listens where, and when all of it does.
func (p *process) readLine(line []byte) {
	if p.lines = append(p.lines, string(line)); len(p.lines) > keptLines {
		p.lines = p.lines[1:]
	}
	var entry struct{ Msg, Name, URL string }
	if json.Unmarshal(line, &entry) != nil {
		return // what a crash says is not JSON
	}
	switch entry.Msg {
	case "listening":
		p.listeners[entry.Name] = entry.URL
	case "ready":
		close(p.ready)
	}
}

// urls are where it listens, by the names of the listeners.
func (p *process) urls() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.listeners)
}

func (p *process) awaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return p.failed()
	case <-time.After(startWithin):
		return fmt.Errorf("app serve %s was not ready within %s%s", p.name, startWithin, p.tail())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed says how the process ended, if it did so by itself.
func (p *process) failed() error {
	select {
	case <-p.exited:
		if p.stopping {
			return nil
		}
		return fmt.Errorf("app serve %s (process %d) ended during the run: %s%s", p.name, p.pid(), p.command.ProcessState, p.tail())
	default:
		return nil
	}
}

// stop asks for a clean end, and insists after a while. One that ended by itself
// is failed's business.
func (p *process) stop() error {
	if p.failed() != nil {
		return nil
	}
	p.stopping = true
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop app serve %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		_ = p.command.Process.Kill() // it can only be gone already
		<-p.exited
		return fmt.Errorf("app serve %s did not stop within %s%s", p.name, stopWithin, p.tail())
	}
	if !p.command.ProcessState.Success() {
		return fmt.Errorf("app serve %s did not stop cleanly: %s%s", p.name, p.command.ProcessState, p.tail())
	}
	return nil
}

// tail is the end of the log, on lines of its own.
func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return ""
	}
	return "; its log ends with\n  " + strings.Join(p.lines, "\n  ")
}
