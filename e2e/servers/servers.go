// Package servers runs PostgreSQL, PgBouncer and Apache Kafka for the tests of the production
// lane, as child processes on loopback. A test may kill and freeze them, and start
// them again at the same address with the same data.
//
// PostgreSQL and PgBouncer must be installed. Kafka is fetched with Maven, and needs Java.
package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	// startWithin allows for a busy machine, and for recovery after a kill.
	startWithin = 90 * time.Second
	// stopWithin is how long a clean stop may take before it becomes a kill.
	stopWithin = 20 * time.Second
	// poll is the period in which a server that starts is tried.
	poll = 50 * time.Millisecond
)

// server is a child process that can be started again.
type server struct {
	name    string
	command func() *exec.Cmd
	log     string // the file that it writes to

	running *exec.Cmd
	exited  chan struct{}
}

// launch starts the process and waits until answers returns true.
func (s *server) launch(answers func() bool) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer log.Close() // the child has its own copy
	deadline := time.Now().Add(startWithin)
	for time.Now().Before(deadline) {
		if err := s.spawn(log); err != nil {
			return err
		}
		if s.await(answers, deadline) {
			return nil
		}
		// It ended: after a kill, its children may still use its data for a moment.
	}
	_ = s.Kill()
	return fmt.Errorf("%s did not serve within %s: %s", s.name, startWithin, tail(s.log))
}

func (s *server) spawn(log *os.File) error {
	command, exited := s.command(), make(chan struct{})
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.running, s.exited = command, exited
	go func() {
		_ = command.Wait() // its log has the reason
		close(exited)
	}()
	return nil
}

// await waits until the server answers. It returns false if the server ends first or
// the time is up.
func (s *server) await(answers func() bool, deadline time.Time) bool {
	ticks := time.NewTicker(poll)
	defer ticks.Stop()
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			<-ticks.C
			return false
		case <-ticks.C:
		}
		if answers() {
			return true
		}
	}
	return false
}

// Kill sends SIGKILL and waits for the end.
func (s *server) Kill() error {
	if s.running == nil {
		return nil
	}
	err := s.signal(s.pid(), syscall.SIGKILL)
	<-s.exited
	return err
}

// Freeze sends SIGSTOP to all processes of the server.
func (s *server) Freeze() error { return s.signalAll(syscall.SIGSTOP) }

// Thaw sends SIGCONT to all processes of the server.
func (s *server) Thaw() error { return s.signalAll(syscall.SIGCONT) }

// signalAll signals the parent first: once stopped, it starts no more children.
func (s *server) signalAll(signal syscall.Signal) error {
	if err := s.signal(s.pid(), signal); err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.pid()))
	if err != nil {
		return fmt.Errorf("find the processes of %s: %w", s.name, err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		pid, err := strconv.Atoi(child)
		if err == nil {
			err = s.signal(pid, signal)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// signal sends nothing to a server that has ended, because another process may have
// its ID by now.
func (s *server) signal(pid int, signal syscall.Signal) error {
	select {
	case <-s.exited:
		return nil
	default:
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to %s: %w", signal, s.name, err)
	}
	return nil
}

func (s *server) pid() int { return s.running.Process.Pid }

// stop sends the signal for a clean stop, and SIGKILL if that takes too long.
func (s *server) stop(signal syscall.Signal) error {
	if s.running == nil {
		return nil
	}
	if err := s.signal(s.pid(), signal); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopWithin):
		return s.Kill()
	}
}

// tail returns the end of a log.
func tail(file string) string {
	const most = 2 << 10
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(len(text)-most, 0):])
}

// A port must stay free for a server that is down for a while. The system assigns
// ports from 32768 on, so these are below, and each belongs to the process that
// holds its lock: several test programs run at a time.
const firstPort, lastPort = 10000, 19999

var (
	nextPort atomic.Int64
	locks    sync.Map // *flock.Flock by port, held until the process ends
)

func init() { nextPort.Store(rand.Int64N(lastPort - firstPort)) }

func freePort() int {
	for {
		port := int(firstPort + nextPort.Add(1)%(lastPort-firstPort))
		if !reserve(port) {
			continue
		}
		if l, err := net.Listen("tcp", address(port)); err == nil {
			_ = l.Close() // the port is free again at once
			return port
		}
	}
}

// reserve reports whether this process gets a port. The lock ends with the process,
// and its empty file remains.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), "payrelay-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return true // without locks, two processes rarely choose the same port
	}
	lock := flock.New(filepath.Join(dir, strconv.Itoa(port)))
	taken, err := lock.TryLock()
	if err != nil || !taken {
		return false
	}
	locks.Store(port, lock)
	return true
}

// FreeAddr returns an address on loopback that no other process uses, for servers that
// are started again at the same address.
func FreeAddr() string { return address(freePort()) }

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func accepts(port int) bool {
	conn, err := net.DialTimeout("tcp", address(port), time.Second)
	return err == nil && conn.Close() == nil
}

// program finds a program in PATH, or else by a pattern. remedy is the end of the error
// if there is none.
func program(name, pattern, remedy string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1], nil
	}
	return "", fmt.Errorf("%s is not installed: %s", name, remedy)
}
