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

// Postgres is a PostgreSQL server with its default durability, on which every
// local user is its superuser.
type Postgres struct {
	server
	port int
	dir  string
}

// StartPostgres creates a database cluster in dir, which must exist and be empty,
// and starts a server on it. It does not run as root: started by root it runs as
// the user postgres, who has to be able to reach dir.
func StartPostgres(dir string) (*Postgres, error) {
	initdb, err := program("initdb", "/usr/lib/postgresql/*/bin/initdb", "install the PostgreSQL server (Debian's package postgresql), or put its initdb into PATH")
	if err != nil {
		return nil, err
	}
	as, err := ordinaryUser(dir)
	if err != nil {
		return nil, err
	}
	// Debian's program in the path is a link into the directory of all of them.
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

// Start starts the server, again at the same address and with its data, and waits
// until it takes queries.
func (p *Postgres) Start() error { return p.launch(p.answers) }

func (p *Postgres) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL())
	return err == nil && conn.Close(ctx) == nil
}

// Stop ends the server without waiting for its clients.
func (p *Postgres) Stop() error { return p.stop(syscall.SIGINT) }

// URL is that of a database on the server, in which nothing is to be written.
func (p *Postgres) URL() string {
	return "postgres://payrelay@" + address(p.port) + "/postgres"
}

// CreateDatabase creates a database with a name of its own, on the server of a
// URL, and returns its URL. drop removes it, with whoever is connected to it.
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

// Execute runs one statement on the database of a URL.
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

// account is whom a server runs as; nil is whoever runs this.
type account struct{ *syscall.SysProcAttr }

func (a account) command(dir, name string, args ...string) *exec.Cmd {
	command := exec.Command(name, args...)
	command.Dir, command.SysProcAttr = dir, a.SysProcAttr
	return command
}

// ordinaryUser is who may run PostgreSQL, and gives dir to them.
func ordinaryUser(dir string) (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, _ := strconv.Atoi(found.Uid) // they are numbers on every system that has a root
	gid, _ := strconv.Atoi(found.Gid)
	for _, reachable := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(reachable, 0o755); err != nil {
			return account{}, fmt.Errorf("let PostgreSQL reach its directory: %w", err)
		}
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return account{}, fmt.Errorf("give PostgreSQL its directory: %w", err)
	}
	return account{&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}}, nil
}
