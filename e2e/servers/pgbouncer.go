package servers

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// PgBouncer is a pooler in front of a PostgreSQL server, in transaction mode.
type PgBouncer struct {
	server
	port int
}

// StartPgBouncer starts a pooler for all databases of the server of a URL. Its files are
// in dir, which must exist. It accepts every client, as the user of the URL.
func StartPgBouncer(dir, serverURL string) (*PgBouncer, error) {
	pgbouncer, err := program("pgbouncer", "/usr/sbin/pgbouncer", "install PgBouncer (Debian's package pgbouncer)")
	if err != nil {
		return nil, err
	}
	as, err := ordinaryUser(dir)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(serverURL)
	if err != nil {
		return nil, fmt.Errorf("prepare PgBouncer: %w", err)
	}
	p := &PgBouncer{port: freePort()}
	file := filepath.Join(dir, "pgbouncer.ini")
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
server_round_robin = 1
`, to.Hostname(), to.Port(), to.User.Username(), p.port)
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return nil, fmt.Errorf("prepare PgBouncer: %w", err)
	}
	p.server = server{name: "PgBouncer", log: filepath.Join(dir, "log"), command: func() *exec.Cmd { return as.command(dir, pgbouncer, file) }}
	return p, p.Start()
}

// Start starts the pooler, again at its address, and waits until it takes connections.
func (p *PgBouncer) Start() error {
	return p.launch(func() bool { return accepts(p.port) })
}

// Stop stops the pooler without waiting for its clients.
func (p *PgBouncer) Stop() error { return p.stop(syscall.SIGTERM) }

// Host returns the host:port that stands for that of the server in a URL.
func (p *PgBouncer) Host() string { return "127.0.0.1:" + strconv.Itoa(p.port) }
