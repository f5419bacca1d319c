// The command run is the long run: it takes the program through the whole matrix
// of modes, stores, brokers and processes, and ends with one table.
//
//	go run ./e2e/chaos/run -duration 30m -seed 1
//	go run ./e2e/chaos/run -replay DIR
//
// It starts the PostgreSQL and the Apache Kafka that it needs itself.
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
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "strike for this long in all, starts and checks come on top")
	flag.Uint64Var(&o.seed, "seed", 1, "make up the webhooks and the faults from this number")
	flag.StringVar(&o.cells, "cells", "", "run only the cells whose name contains this, such as kafka/ or postgres")
	flag.StringVar(&o.dir, "dir", "", "keep data, logs and ledgers in this directory; by default in a temporary one, which stays if something is wrong")
	flag.IntVar(&o.nodes, "kafka-nodes", 3, "run a Kafka of this many nodes")
	flag.StringVar(&o.replay, "replay", "", "check again what a run left in this directory")
	flag.StringVar(&o.record, "record", "", "put the tables of a run that finds nothing wrong into this document, such as docs/reliability.md")
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
		r, err := chaos.Replay(o.replay)
		if err != nil {
			return err
		}
		return conclude([]*chaos.Report{r})
	}
	cells := chosen(o.cells)
	if len(cells) == 0 {
		return fmt.Errorf("no cell is called %q", o.cells)
	}
	if o.dir != "" {
		return runIn(ctx, o, cells)
	}
	dir, err := os.MkdirTemp("", "payrelay-chaos-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	o.dir = dir
	if err := runIn(ctx, o, cells); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func runIn(ctx context.Context, o options, cells []chaos.Cell) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("make a directory: %w", err)
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

func chosen(word string) []chaos.Cell {
	var cells []chaos.Cell
	for _, cell := range chaos.Matrix() {
		if strings.Contains(cell.String(), word) {
			cells = append(cells, cell)
		}
	}
	return cells
}

func runAll(ctx context.Context, o options, cells []chaos.Cell) (reports []*chaos.Report, err error) {
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
		r, err := chaos.Run(ctx, chaos.Options{Cell: cell, Seed: o.seed, Binary: binary, Servers: servers, Limits: chaos.Strict,
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

// tidy leaves of a run that was as it should be what it can be replayed from, and
// of any other run all.
func tidy(dir string, r *chaos.Report) error {
	if len(r.Violations) > 0 {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, chaos.DataDir))
}

func show(found []chaos.Violation) {
	for _, v := range found {
		fmt.Printf("  %s: %s\n", v.Invariant, v.What)
	}
}

// conclude prints the tables and says whether the promise was kept.
func conclude(reports []*chaos.Report) error {
	fmt.Printf("%s\n%s\n", chaos.Table(reports), chaos.FaultTable(reports))
	parity := chaos.CheckParity(reports)
	show(parity)
	if n := chaos.Sum(reports).Violations + len(parity); n > 0 {
		return fmt.Errorf("%w: %d violations", errBroken, n)
	}
	return nil
}
