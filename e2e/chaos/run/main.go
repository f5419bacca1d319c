// The command run runs every cell of the matrix of modes, stores, brokers and
// processes, and prints a table of the results.
//
//	go run ./e2e/chaos/run -duration 30m -seed 1
//	go run ./e2e/chaos/run -replay DIR
//
// It starts the PostgreSQL server and the Apache Kafka cluster that it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos"
	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
)

type options struct {
	duration time.Duration
	seed     uint64
	cells    string
	dir      string
	nodes    int
	replay   string
	record   string
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "time for faults, over all cells; starts and checks take longer")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the webhooks and the faults")
	flag.StringVar(&o.cells, "cells", "", "run only cells whose name contains this text, such as kafka/ or postgres")
	flag.StringVar(&o.dir, "dir", "", "directory for data, logs and histories (default: a temporary one, which is kept if there is a violation)")
	flag.IntVar(&o.nodes, "kafka-nodes", 3, "number of nodes of Apache Kafka")
	flag.StringVar(&o.replay, "replay", "", "directory of a cell of an earlier run to check again")
	flag.StringVar(&o.record, "record", "", "document to write the tables to after a run without violations, such as docs/reliability.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

var errBroken = errors.New("the promise is broken")

func run(ctx context.Context, o options) error {
	if o.replay != "" {
		r, err := checker.Replay(o.replay)
		if err != nil {
			return err
		}
		return conclude([]*checker.Report{r})
	}
	cells := chosen(o.cells)
	if len(cells) == 0 {
		return fmt.Errorf("no cell has a name that contains %q: leave out -cells to run all", o.cells)
	}
	if o.dir != "" {
		return runIn(ctx, o, cells)
	}
	dir, err := os.MkdirTemp("", "payrelay-chaos-")
	if err != nil {
		return fmt.Errorf("create a directory: %w", err)
	}
	o.dir = dir
	if err := runIn(ctx, o, cells); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func runIn(ctx context.Context, o options, cells []history.Cell) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("create a directory: %w", err)
	}
	reports, err := runAll(ctx, o, cells)
	if err == nil {
		err = conclude(reports)
	}
	if err != nil {
		return fmt.Errorf("%w; see %s", err, o.dir)
	}
	if o.record == "" {
		return nil
	}
	return record(o.record, o, reports)
}

func chosen(word string) []history.Cell {
	var cells []history.Cell
	for _, cell := range history.Matrix() {
		if strings.Contains(cell.String(), word) {
			cells = append(cells, cell)
		}
	}
	return cells
}

func runAll(ctx context.Context, o options, cells []history.Cell) (reports []*checker.Report, err error) {
	binary := filepath.Join(o.dir, "app")
	if err := program.Build(binary); err != nil {
		return nil, err
	}
	servers, stop, err := startServers(ctx, o, cells)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	for i, cell := range cells {
		if ctx.Err() != nil {
			return reports, nil
		}
		fmt.Printf("%d of %d: %s\n", i+1, len(cells), cell)
		dir := filepath.Join(o.dir, strings.ReplaceAll(cell.String(), "/", "-"))
		r, err := chaos.Run(ctx, chaos.Options{Cell: cell, Seed: o.seed, Binary: binary, Servers: servers, Limits: history.Strict,
			Dir: dir, Duration: o.duration / time.Duration(len(cells))})
		if err != nil {
			return reports, err
		}
		fmt.Println(r)
		show(r.Violations)
		reports = append(reports, r)
		if err := tidy(dir, r); err != nil {
			return reports, err
		}
	}
	return reports, nil
}

// tidy removes the data of a run without violations. What is left can be replayed.
func tidy(dir string, r *checker.Report) error {
	if len(r.Violations) > 0 {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, deployment.DataDir))
}

func show(found []checker.Violation) {
	for _, v := range found {
		fmt.Printf("  %s: %s\n", v.Invariant, v.What)
	}
}

// conclude prints the tables, and returns an error if there are violations.
func conclude(reports []*checker.Report) error {
	fmt.Printf("%s\n%s\n", checker.Table(reports), checker.FaultTable(reports))
	parity := checker.CheckParity(reports)
	show(parity)
	if n := checker.Sum(reports).Violations + len(parity); n > 0 {
		return fmt.Errorf("%w: %d violations", errBroken, n)
	}
	return nil
}
