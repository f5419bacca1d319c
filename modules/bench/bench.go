// Package bench compares the modes: it starts payrelay in each of them with every
// role in its own process, sends webhooks, measures speed and cost, and then
// checks that the database has each accepted webhook once. If it has not, the
// figures are void.
//
// Package load generates the webhooks, package deployment runs the processes, and
// package report presents the figures.
package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/bench/deployment"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
	"github.com/payrelay/payrelay/modules/payments"
)

// ErrVoid is the error of a benchmark whose deployment lost or corrupted webhooks or
// stopped. The report has the reasons.
var ErrVoid = errors.New("the figures are void")

// Program describes the program that contains the benchmark, which starts it as the
// roles.
type Program struct {
	// Binary is the file, Version the version, and Command the command line that
	// repeats the benchmark.
	Binary, Version, Command string
	// DatabaseVersion returns the version of the PostgreSQL at a URL, or of SQLite if
	// the URL is empty. BrokerVersion describes the Kafka cluster at some brokers.
	DatabaseVersion, BrokerVersion func(ctx context.Context, address string) (string, error)
}

type bench struct {
	Config
	program  Program
	variants []Variant
	loads    []load.Shape
	report   *report.Report
	progress *progress
}

// Run runs the benchmark and returns the report. With ErrVoid and with an interrupt
// it returns both a report and an error. It writes its progress to a terminal, or
// nowhere if progress is nil.
func Run(ctx context.Context, cfg Config, program Program, progress io.Writer) (*report.Report, error) {
	variants, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.Profiles != "" {
		if err := os.MkdirAll(cfg.Profiles, 0o755); err != nil {
			return nil, fmt.Errorf("create the directory for profiles: %w", err)
		}
	}
	b := &bench{Config: cfg, program: program, variants: variants, loads: cfg.loads(), report: newReport(cfg, program, variants)}
	if b.Target == "" {
		if b.report.DatabaseVersion, err = program.DatabaseVersion(ctx, b.DatabaseURL); err != nil {
			return nil, err
		}
		if b.report.Broker != "" && b.Brokers != "" {
			if b.report.BrokerVersion, err = program.BrokerVersion(ctx, b.Brokers); err != nil {
				return nil, err
			}
		}
	}
	b.progress = newProgress(progress, b.steps())
	defer b.progress.end()
	for round := range cfg.Rounds {
		for _, v := range variants {
			if err := b.trial(ctx, v, round+1); err != nil {
				return b.report, err
			}
		}
	}
	return b.report, nil
}

func (c *Config) loads() []load.Shape {
	var shapes []load.Shape
	for _, n := range c.Concurrency {
		shapes = append(shapes, load.Shape{Connections: n, Duration: c.Duration})
	}
	for _, rate := range c.Rates {
		shapes = append(shapes, load.Shape{Connections: c.Connections, Rate: float64(rate), Duration: c.Duration})
	}
	return shapes
}

func newReport(cfg Config, program Program, variants []Variant) *report.Report {
	r := &report.Report{
		Began: time.Now().UTC().Truncate(time.Second), Command: program.Command, Version: program.Version,
		Machine: report.ThisMachine(), Workload: cfg.Workload.String(), Database: "SQLite",
	}
	for _, v := range variants {
		r.Modes = append(r.Modes, report.Mode{Name: v.Name, Wire: v.Wire()})
	}
	for _, s := range cfg.loads() {
		r.Loads = append(r.Loads, report.Load{Name: s.String(), Connections: s.Connections, Rate: s.Rate})
	}
	switch {
	case cfg.Target != "":
		r.Database = "that of the deployment at " + cfg.Target
	case cfg.DatabaseURL != "":
		r.Database = "PostgreSQL"
	}
	if slices.ContainsFunc(variants, func(v Variant) bool { return v.Mode == payments.Kafka }) {
		r.Broker = "embedded"
		if cfg.Brokers != "" {
			r.Broker = "Kafka at " + cfg.Brokers
		}
	}
	if cfg.Target != "" && cfg.TargetAPI == "" {
		r.Unchecked = "without --target-api the result cannot be read"
	}
	return r
}

// trial measures one variant in one round: it starts a deployment, runs all loads
// and checks the result.
func (b *bench) trial(ctx context.Context, v Variant, round int) (err error) {
	t := &trial{bench: b, variant: v, round: round}
	t.step("start")
	cleanUp, err := t.deploy(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	watched, cancel := t.deployment.Watch(ctx)
	defer cancel()
	target, err := load.NewTarget(t.deployment.Ingest)
	if err != nil {
		return err
	}
	script := load.NewScript(b.Workload, strings.ToLower(rand.Text()[:8]), time.Now())
	t.provider = load.NewProvider(script, target, b.Timeout)
	defer t.provider.Close()
	err = t.run(watched)
	if failed := t.deployment.Failed(); failed != nil {
		err = t.void(failed)
	} else if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	return err
}

// deploy starts a deployment with its own data, or attaches to the target. The
// caller calls cleanUp.
func (t *trial) deploy(ctx context.Context) (cleanUp func() error, err error) {
	if t.Target != "" {
		t.deployment = deployment.Attach(t.Target, t.TargetAPI, t.TargetAdmins)
		return func() error { return nil }, nil
	}
	binary := t.program.Binary
	if t.variant.Base {
		binary = t.Base
	}
	dir, err := os.MkdirTemp("", "payrelay-bench-")
	if err != nil {
		return nil, fmt.Errorf("create a directory for the data: %w", err)
	}
	t.deployment, err = deployment.Start(ctx, deployment.Spec{
		Binary: binary, Dir: dir, Mode: t.variant.Mode, Unary: t.variant.Unary, HTTP2: t.variant.HTTP2, DatabaseURL: t.DatabaseURL,
		Kafka: deployment.Kafka{Brokers: t.Brokers, OrdersTopic: t.OrdersTopic, DisputesTopic: t.DisputesTopic},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return func() error { return errors.Join(t.deployment.Stop(), os.RemoveAll(dir)) }, nil
}

// progress is a progress bar on one line of a terminal.
type progress struct {
	out         io.Writer
	done, steps int
	width       int
}

// newProgress returns a progress bar, which is not shown if out is nil.
func newProgress(out io.Writer, steps int) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out, steps: max(steps, 1)}
}

// steps returns the expected number of calls of progress.step.
func (b *bench) steps() int {
	each := 3 + len(b.loads) // start, warm-up, check
	if b.FindMax {
		each += expectedProbes
	}
	return b.Rounds * len(b.variants) * each
}

// step shows what begins now.
func (p *progress) step(what string) {
	const length = 20
	filled := min(p.done*length/p.steps, length)
	p.done++
	line := fmt.Sprintf("[%s%s] %s", strings.Repeat("#", filled), strings.Repeat(".", length-filled), what)
	fmt.Fprintf(p.out, "\r%-*s", p.width, line) // an error would only lose the progress bar
	p.width = len(line)
}

// end clears the line.
func (p *progress) end() { fmt.Fprintf(p.out, "\r%*s\r", p.width, "") }
