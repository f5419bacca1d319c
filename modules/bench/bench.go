// Package bench compares the modes: it starts payrelay in each of them as
// processes of their own, sends webhooks, measures what is seen from outside and
// what it costs, and then checks that the database has each webhook once. What
// is wrong there makes the figures void.
//
// The load is the package load's, the processes are deployment's, and report
// says what came of it.
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
)

// ErrVoid says that what was measured is of no use, because the deployment did
// not do its work. The report says what it did.
var ErrVoid = errors.New("the figures are void")

// Program is what the benchmark is a part of, and starts as its roles.
type Program struct {
	// Binary is its file, Version what it calls itself, Command how it was called.
	Binary, Version, Command string
	// DatabaseVersion asks the PostgreSQL at a URL, or the SQLite of the program if
	// there is none, for its version; BrokerVersion the Kafka at some brokers for
	// what it tells about itself.
	DatabaseVersion, BrokerVersion func(ctx context.Context, address string) (string, error)
}

// Run compares what cfg says and returns the report, also with ErrVoid. Progress
// goes to a terminal.
func Run(ctx context.Context, cfg Config, program Program, progress io.Writer) (*report.Report, error) {
	variants, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.Profiles != "" {
		if err := os.MkdirAll(cfg.Profiles, 0o755); err != nil {
			return nil, fmt.Errorf("make a directory for profiles: %w", err)
		}
	}
	b := &bench{Config: cfg, program: program, variants: variants, loads: cfg.loads(), report: newReport(cfg, program, variants)}
	if err := b.askServers(ctx); err != nil {
		return nil, err
	}
	b.progress = newProgress(progress, b.steps())
	defer b.progress.end()
	for _, l := range b.loads {
		b.report.Loads = append(b.report.Loads, loadOf(l))
	}
	for round := range cfg.Rounds {
		for _, v := range variants {
			if err := b.session(ctx, v, round+1); err != nil {
				return b.report, err
			}
		}
	}
	return b.report, nil
}

type bench struct {
	Config
	program  Program
	variants []Variant
	loads    []load.Shape
	report   *report.Report
	progress *progress
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

func loadOf(s load.Shape) report.Load {
	return report.Load{Name: s.String(), Connections: s.Connections, Rate: s.Rate}
}

func newReport(cfg Config, program Program, variants []Variant) *report.Report {
	r := &report.Report{
		Began: time.Now().UTC().Truncate(time.Second), Command: program.Command, Version: program.Version,
		Machine: report.ThisMachine(), Workload: cfg.Workload.String(), Database: cfg.database(), Broker: cfg.broker(variants),
	}
	for _, v := range variants {
		r.Modes = append(r.Modes, report.Mode{Name: v.Name, Wire: v.Wire()})
	}
	if cfg.Target != "" && cfg.TargetAPI == "" {
		r.Unchecked = "--target-api does not say where the result can be read"
	}
	return r
}

func (c *Config) database() string {
	switch {
	case c.Target != "":
		return "that of the deployment at " + c.Target
	case c.DatabaseURL != "":
		return "PostgreSQL"
	default:
		return "SQLite"
	}
}

// broker is the one that the modes use; empty if none of them uses any.
func (c *Config) broker(variants []Variant) string {
	switch {
	case !slices.ContainsFunc(variants, func(v Variant) bool { return v.Mode == "kafka" }):
		return ""
	case c.Brokers != "":
		return "Kafka at " + c.Brokers
	default:
		return "embedded"
	}
}

// askServers has the report say which ones it is about.
func (b *bench) askServers(ctx context.Context) (err error) {
	if b.Target != "" {
		return nil // it keeps that to itself
	}
	if b.report.DatabaseVersion, err = b.program.DatabaseVersion(ctx, b.DatabaseURL); err != nil {
		return err
	}
	if b.report.Broker != "" && b.Brokers != "" {
		b.report.BrokerVersion, err = b.program.BrokerVersion(ctx, b.Brokers)
	}
	return err
}

// session is one mode in one round: a deployment of its own, all loads, and the
// check.
func (b *bench) session(ctx context.Context, v Variant, round int) (err error) {
	b.progress.step(fmt.Sprintf("round %d of %d, %s: start", round, b.Rounds, v.Name))
	d, cleanUp, err := b.deploy(ctx, v)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	watched, cancel := d.Watch(ctx)
	defer cancel()
	s, err := b.newSession(d, v, round)
	if err != nil {
		return err
	}
	defer s.provider.Close()
	err = s.run(watched)
	if died := d.Failed(); died != nil {
		err = b.void(v, round, died)
	} else if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	return err
}

// void notes what makes the figures useless.
func (b *bench) void(v Variant, round int, why error) error {
	for line := range strings.Lines(why.Error()) {
		b.report.Void = append(b.report.Void, fmt.Sprintf("%s, round %d: %s", v.Name, round, strings.TrimRight(line, "\n")))
	}
	return ErrVoid
}

// deploy starts a deployment, or finds the one at the target.
func (b *bench) deploy(ctx context.Context, v Variant) (*deployment.Deployment, func() error, error) {
	if b.Target != "" {
		return deployment.Attach(b.Target, b.TargetAPI, b.TargetAdmins), func() error { return nil }, nil
	}
	binary := b.program.Binary
	if v.Base {
		binary = b.Base
	}
	dir, err := os.MkdirTemp("", "payrelay-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for the data: %w", err)
	}
	d, err := deployment.Start(ctx, deployment.Spec{
		Binary: binary, Dir: dir, Mode: v.Mode, Unary: v.Unary, HTTP2: v.HTTP2, DatabaseURL: b.DatabaseURL,
		Kafka: deployment.Kafka{Brokers: b.Brokers, OrdersTopic: b.OrdersTopic, DisputesTopic: b.DisputesTopic},
	})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return d, func() error { return errors.Join(d.Stop(), os.RemoveAll(dir)) }, nil
}

// newSession gives the session a provider with ids of its own.
func (b *bench) newSession(d *deployment.Deployment, v Variant, round int) (*session, error) {
	target, err := load.NewTarget(d.Ingest)
	if err != nil {
		return nil, err
	}
	script := load.NewScript(b.Workload, strings.ToLower(rand.Text()[:8]), time.Now())
	return &session{
		bench: b, variant: v, round: round, deployment: d,
		provider: load.NewProvider(script, target, b.Timeout),
	}, nil
}
