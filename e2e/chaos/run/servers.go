package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/servers"
)

// startServers starts the servers that the cells need. stop must be called even
// after an error.
func startServers(ctx context.Context, o options, cells []history.Cell) (s deployment.Servers, stop func() error, err error) {
	stop = func() error {
		var failed error
		if s.Kafka != nil {
			failed = s.Kafka.Stop()
		}
		if s.Postgres != nil {
			failed = errors.Join(failed, s.Postgres.Stop())
		}
		return failed
	}
	for _, cell := range cells {
		if cell.Store == history.Postgres && s.Postgres == nil {
			if s.Postgres, err = startPostgres(o.dir); err != nil {
				return s, stop, err
			}
		}
		if cell.Broker == history.Apache && s.Kafka == nil {
			if s.Kafka, err = startKafka(ctx, o); err != nil {
				return s, stop, err
			}
		}
	}
	return s, stop, nil
}

func startPostgres(dir string) (*servers.Postgres, error) {
	dir = filepath.Join(dir, "postgres")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the directory of PostgreSQL: %w", err)
	}
	return servers.StartPostgres(dir)
}

func startKafka(ctx context.Context, o options) (*servers.Kafka, error) {
	libs, err := servers.KafkaLibs(ctx)
	if err != nil {
		return nil, err
	}
	return servers.StartKafka(libs, filepath.Join(o.dir, "kafka"), o.nodes)
}
