package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server with the default durability. Every local user may
// connect as superuser.
type Postgres struct {
	server
	port int
	dir  string
}

// StartPostgres creates a database cluster in dir, which must exist and be empty, and
// starts a server on it. The server does not run as root: for root it runs as the
// user postgres, who gets access to dir.
func StartPostgres(dir string) (*Postgres, error) {
	initdb, err := program("initdb", "/usr/lib/postgresql/*/bin/initdb", "install the PostgreSQL server (Debian's package postgresql), or put its initdb into PATH")
	if err != nil {
		return nil, err
	}
	as, err := ordinaryUser(dir)
	if err != nil {
		return nil, err
	}
	// On Debian, PATH has a link to the program in the directory of the others.
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		return nil, fmt.Errorf("find PostgreSQL: %w", err)
	}
	p := &Postgres{port: freePort(), dir: dir}
	p.server = server{name: "PostgreSQL", log: filepath.Join(dir, "log"), command: func() *exec.Cmd {
		return as.command(dir, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(p.port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
	}}
	create := as.command(dir, initdb, "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "payrelay", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("create a PostgreSQL cluster: %w: %s", err, out)
	}
	return p, p.Start()
}

// Start starts the server again, at its address and with its data, and waits until it
// takes queries.
func (p *Postgres) Start() error { return p.launch(p.answers) }

func (p *Postgres) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL())
	return err == nil && conn.Close(ctx) == nil
}

// Stop stops the server without waiting for its clients.
func (p *Postgres) Stop() error { return p.stop(syscall.SIGINT) }

// URL returns the URL of the maintenance database, which tests do not write to.
func (p *Postgres) URL() string {
	return "postgres://payrelay@" + address(p.port) + "/postgres"
}

// CreateDatabase creates a database with a new name on the server of a URL, and
// returns its URL. drop ends its connections and removes it.
func CreateDatabase(ctx context.Context, serverURL string) (databaseURL string, drop func() error, err error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return "", nil, fmt.Errorf("create database: %w", err)
	}
	name := "payrelay_test_" + strings.ToLower(rand.Text())
	if err := Execute(ctx, serverURL, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0"); err != nil {
		return "", nil, fmt.Errorf("create database: %w", err)
	}
	u.Path = "/" + name
	return u.String(), func() error {
		return Execute(context.WithoutCancel(ctx), serverURL, "DROP DATABASE "+name+" WITH (FORCE)")
	}, nil
}

// Execute runs one statement on the database with a URL.
func Execute(ctx context.Context, databaseURL, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// account is the user that a server runs as. The zero value is the current user.
type account struct{ *syscall.SysProcAttr }

func (a account) command(dir, name string, args ...string) *exec.Cmd {
	command := exec.Command(name, args...)
	command.Dir, command.SysProcAttr = dir, a.SysProcAttr
	return command
}

// ordinaryUser returns a user other than root, and gives dir to that user.
func ordinaryUser(dir string) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, _ := strconv.Atoi(found.Uid) // IDs are numbers on Unix
	gid, _ := strconv.Atoi(found.Gid)
	for _, reachable := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(reachable, 0o755); err != nil {
			return account{}, fmt.Errorf("give PostgreSQL access to its directory: %w", err)
		}
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return account{}, fmt.Errorf("give PostgreSQL its directory: %w", err)
	}
	return account{&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}}, nil
}
