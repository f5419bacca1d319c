package postgres_test

import (
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL of the test's own, which it may kill. It listens on a
// socket in its directory, so no port can be taken.
type server struct {
	t        *testing.T
	programs string
	dir      string
	as       *syscall.SysProcAttr
	running  *exec.Cmd
}

// startServer creates a database cluster and starts it. It skips the test where
// no server is installed, unless the lane of production is to be proven.
func startServer(t *testing.T) *server {
	t.Helper()
	serverURL(t)
	s := &server{t: t, programs: installed(t), dir: t.TempDir()}
	s.asOrdinaryUser()
	initdb := exec.Command(filepath.Join(s.programs, "initdb"), "-D", s.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-instructions")
	initdb.SysProcAttr, initdb.Dir = s.as, s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) url() string {
	return "postgres:///postgres?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

// installed is the directory of the server's programs: where they are in the
// path, or where Debian puts them.
func installed(t *testing.T) string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if strings.Contains(os.Getenv("PAYRELAY_TEST_LANES"), "production") {
		t.Fatal("PAYRELAY_TEST_LANES asks for production: install the PostgreSQL server, or put its initdb into PATH")
	}
	t.Skip("install the PostgreSQL server, or put its initdb into PATH, to run this test")
	return ""
}

// asOrdinaryUser: the server does not run as root.
func (s *server) asOrdinaryUser() {
	if os.Getuid() != 0 {
		return
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		s.t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Chown(s.dir, uid, gid); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the server until it stays: after a kill, its processes may still
// be about to notice.
func (s *server) start() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		s.running = exec.Command(filepath.Join(s.programs, "postgres"), "-D", s.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir)
		s.running.SysProcAttr, s.running.Dir = s.as, s.dir
		if err := s.running.Start(); err != nil {
			s.t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() { _ = s.running.Wait(); close(exited) }()
		if s.answers(exited, deadline) {
			return
		}
	}
	s.t.Fatal("the server does not start")
}

// answers waits until the server takes connections; false if it exits.
func (s *server) answers(exited chan struct{}, deadline time.Time) bool {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for time.Now().Before(deadline) {
		select {
		case <-exited:
			return false
		case <-ticks.C:
		}
		if conn, err := pgx.Connect(s.t.Context(), s.url()); err == nil {
			return conn.Close(s.t.Context()) == nil
		}
	}
	return false
}

// kill ends the server as a power switch would, as far as the server can tell.
func (s *server) kill() {
	_ = s.running.Process.Kill()
}
