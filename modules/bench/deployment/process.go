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
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
	// tailLines is the number of log lines in the error of a process that failed.
	tailLines = 10
)

// process is a running role.
type process struct {
	name    string
	command *exec.Cmd
	ready   chan struct{}
	// exited is closed when the process has ended and its log has been read.
	exited chan struct{}
	// stopping is set before the process is asked to stop.
	stopping bool

	mu        sync.Mutex
	listeners map[string]string // URLs, by the name of the listener
	lines     []string          // the last tailLines of the log
	rest      []byte            // an incomplete line of the log
}

// launch starts a process that ends with this one.
func launch(name, binary string, env, args []string) (*process, error) {
	p := &process{name: name, ready: make(chan struct{}), exited: make(chan struct{}), listeners: make(map[string]string)}
	p.command = exec.Command(binary, args...)
	p.command.Env = env
	p.command.Stderr = p
	p.command.SysProcAttr = childAttributes()
	if err := start(p.command); err != nil {
		return nil, fmt.Errorf("start app serve %s: %w", name, err)
	}
	go func() {
		_ = p.command.Wait() // failed and stop check the exit status
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// Write reads the process's log, which arrives in chunks.
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

// readLine takes the URLs of the listeners and the readiness from a line of the log.
func (p *process) readLine(line []byte) {
	if p.lines = append(p.lines, string(line)); len(p.lines) > tailLines {
		p.lines = p.lines[1:]
	}
	var entry struct{ Msg, Name, URL string }
	if json.Unmarshal(line, &entry) != nil {
		return // a panic is not JSON
	}
	switch entry.Msg {
	case "listening":
		p.listeners[entry.Name] = entry.URL
	case "ready":
		close(p.ready)
	}
}

// urls returns the URLs of the process's listeners, by their names.
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
	case <-time.After(startTimeout):
		return fmt.Errorf("app serve %s was not ready within %s%s", p.name, startTimeout, p.tail())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed returns how the process ended if it ended without being stopped, or nil.
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

// stop terminates the process and kills it after stopTimeout. It returns nil for a
// process that has failed, which failed reports.
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
	case <-time.After(stopTimeout):
		_ = p.command.Process.Kill() // fails only if the process has just ended
		<-p.exited
		return fmt.Errorf("app serve %s did not stop within %s%s", p.name, stopTimeout, p.tail())
	}
	if !p.command.ProcessState.Success() {
		return fmt.Errorf("app serve %s did not stop cleanly: %s%s", p.name, p.command.ProcessState, p.tail())
	}
	return nil
}

// tail returns the end of the log as a suffix for an error message.
func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == 0 {
		return ""
	}
	return "; its log ends with\n  " + strings.Join(p.lines, "\n  ")
}
