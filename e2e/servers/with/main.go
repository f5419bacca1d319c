// The command with starts a PostgreSQL server, a PgBouncer and an Apache Kafka node, and runs
// another command with environment variables that have their addresses:
//
//	go run ./e2e/servers/with go test ./...
//
// Without a command it prints the variables for a shell, and stops the servers when
// it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/payrelay/payrelay/e2e/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(ended.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "with:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) (err error) {
	dir, err := os.MkdirTemp("", "payrelay-servers-")
	if err != nil {
		return fmt.Errorf("create a directory for the servers: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, stop, err := start(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	if len(command) == 0 {
		for _, variable := range env {
			fmt.Println("export", variable)
		}
		<-ctx.Done()
		return nil
	}
	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), env...)
	return child.Run() // an interrupt reaches the child too
}

// start starts the servers. stop must be called even after an error.
func start(ctx context.Context, dir string) (env []string, stop func() error, err error) {
	var started []func() error
	stop = func() error {
		var failed error
		for _, stop := range started {
			failed = errors.Join(failed, stop())
		}
		return failed
	}
	postgresDir := filepath.Join(dir, "postgres")
	if err := os.Mkdir(postgresDir, 0o755); err != nil {
		return nil, stop, fmt.Errorf("create the directory of PostgreSQL: %w", err)
	}
	postgres, err := servers.StartPostgres(postgresDir)
	if err != nil {
		return nil, stop, err
	}
	started = append(started, postgres.Stop)
	pgbouncerDir := filepath.Join(dir, "pgbouncer")
	if err := os.Mkdir(pgbouncerDir, 0o755); err != nil {
		return nil, stop, fmt.Errorf("create the directory of PgBouncer: %w", err)
	}
	pgbouncer, err := servers.StartPgBouncer(pgbouncerDir, postgres.URL())
	if err != nil {
		return nil, stop, err
	}
	started = append(started, pgbouncer.Stop)
	libs, err := servers.KafkaLibs(ctx)
	if err != nil {
		return nil, stop, err
	}
	kafka, err := servers.StartOptimizedKafka(libs, filepath.Join(dir, "kafka"))
	if err != nil {
		return nil, stop, err
	}
	started = append(started, kafka.Stop)
	return []string{
		servers.LanesVariable + "=production",
		servers.PostgresVariable + "=" + postgres.URL(),
		servers.PgBouncerVariable + "=" + pgbouncer.Host(),
		servers.KafkaVariable + "=" + kafka.Brokers(),
		servers.KafkaLibsVariable + "=" + libs,
	}, stop, nil
}
