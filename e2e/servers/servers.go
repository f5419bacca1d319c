// Package servers runs the real PostgreSQL and the real Apache Kafka that the
// tests of the production lane need, as child processes on loopback. They may be
// killed, frozen and started again at the same address with the same data.
//
// PostgreSQL is the one that is installed; Kafka is made of the artifacts that
// its project publishes for Maven, and needs Java.
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
	// startWithin is generous: a busy machine, and logs to recover after a kill.
	startWithin = 90 * time.Second
	// stopWithin is how long a clean stop may take before it becomes a kill.
	stopWithin = 20 * time.Second
	// poll is how often a server that starts is asked whether it is there.
	poll = 50 * time.Millisecond
)

// server is one child process, which may be started again.
type server struct {
	name    string
	command func() *exec.Cmd
	log     string // the file that it writes to

	running *exec.Cmd
	exited  chan struct{}
}

// launch starts the process; answers says that it serves.
func (s *server) launch(answers func() bool) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer log.Close() // the child has its own
	deadline := time.Now().Add(startWithin)
	for time.Now().Before(deadline) {
		if err := s.spawn(log); err != nil {
			return err
		}
		if s.await(answers, deadline) {
			return nil
		}
		// It ended: after a kill, what is left of it may still hold its data.
	}
	_ = s.Kill()
	return fmt.Errorf("%s does not serve after %s: %s", s.name, startWithin, tail(s.log))
}

func (s *server) spawn(log *os.File) error {
	command, exited := s.command(), make(chan struct{})
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.running, s.exited = command, exited
	go func() {
		_ = command.Wait() // how it ended is in its log
		close(exited)
	}()
	return nil
}

// await waits until the server answers; false if it ends before, or too late.
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

// Kill is kill -9.
func (s *server) Kill() error {
	if s.running == nil {
		return nil
	}
	err := s.signal(s.pid(), syscall.SIGKILL)
	<-s.exited
	return err
}

// Freeze stops the server where it is, with all its processes.
func (s *server) Freeze() error { return s.signalAll(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *server) Thaw() error { return s.signalAll(syscall.SIGCONT) }

// signalAll begins with the parent: a stopped one makes no more children.
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

// signal is no error when the process has ended: then its number may be somebody
// else's by now, and nothing is sent.
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

// stop asks for a clean end, and insists after a while.
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

// tail is the end of a log, for the error of a start that failed.
func tail(file string) string {
	const most = 2 << 10
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(len(text)-most, 0):])
}

// A port that a server comes back to must not go to anybody else meanwhile. The
// system gives out ports from 32768 on, so these are below, and each belongs to the
// process that has its lock: several test programs run at a time.
const firstPort, lastPort = 10000, 19999

var (
	nextPort atomic.Int64
	mine     sync.Map // port -> *flock.Flock, held until the process ends
)

func init() { nextPort.Store(rand.Int64N(lastPort - firstPort)) }

func freePort() int {
	for {
		port := int(firstPort + nextPort.Add(1)%(lastPort-firstPort))
		if !reserve(port) {
			continue
		}
		if l, err := net.Listen("tcp", address(port)); err == nil {
			_ = l.Close() // a listener without connections leaves nothing behind
			return port
		}
	}
}

// reserve takes a port for this process. The lock goes with the process, its empty
// file stays.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), "payrelay-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return true // then they are only unlikely to meet
	}
	lock := flock.New(filepath.Join(dir, strconv.Itoa(port)))
	taken, err := lock.TryLock()
	if err != nil || !taken {
		return false
	}
	mine.Store(port, lock)
	return true
}

// FreeAddr is an address on loopback that nobody uses and that the system gives to
// nobody else, for those who have to come back to theirs.
func FreeAddr() string { return address(freePort()) }

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func accepts(port int) bool {
	conn, err := net.DialTimeout("tcp", address(port), time.Second)
	return err == nil && conn.Close() == nil
}

// program finds one in the path, or where a pattern says; an error says how to
// get it.
func program(name, pattern, remedy string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1], nil
	}
	return "", fmt.Errorf("%s is not installed: %s", name, remedy)
}
