// Package chaos tries to break payrelay's promise: a webhook answered with 2xx is
// never lost and takes effect once, in every mode, through kill -9 of any process.
//
// [Run] runs one cell. It combines these parts, each of which may import only
// those before it:
//
//   - history has what was sent, answered, struck and stored;
//   - workload is the provider that sends webhooks and records each attempt;
//   - deployment runs the processes of the program, and the links between them;
//   - nemesis strikes processes, links and the database;
//   - checker compares the history with the database, and reports.
//
// The parts know the program by its command line, its answers and its tables.
// The command in run goes through the matrix of cells, and the package sabotage
// shows that the checker detects broken builds.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/nemesis"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
	"github.com/payrelay/payrelay/internal/wait"
)

// Options configure a run.
type Options struct {
	Cell    history.Cell
	Seed    uint64
	Binary  string // the program under test
	Dir     string // for the data, the logs and the history
	Servers deployment.Servers
	// Duration is how long faults are injected. It is extended up to four times until
	// there are this many acknowledged webhooks and kills.
	Duration time.Duration
	Acked    int64
	Kills    int
	Limits   history.Limits
	// Only restricts the faults to those that begin with one of these prefixes, such
	// as "kill api".
	Only []string
}

// Run runs one cell and reports on it. An error means that the run failed, not that
// payrelay did: the report has the violations.
func Run(ctx context.Context, o Options) (*checker.Report, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the directory of the run: %w", err)
	}
	recorder, err := history.NewRecorder(o.Dir)
	if err != nil {
		return nil, err
	}
	d, err := deployment.New(o.Cell, o.Servers, o.Binary, o.Dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{Options: o, deployment: d, recorder: recorder, history: &history.History{Cell: o.Cell, Seed: o.Seed, Limits: o.Limits}}
	watch := history.WatchStalls(recorder.Now)
	state, err := r.run(ctx)
	cancel()
	r.provider.Wait()
	r.history.Stalls = watch.Stop()
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, fmt.Errorf("run %s with seed %d: %w", o.Cell, o.Seed, err)
	}
	r.history.Complaints = d.Complaints()
	if err := history.Save(o.Dir, r.history, state); err != nil {
		return nil, err
	}
	return checker.NewReport(r.history, state), nil
}

type run struct {
	Options
	deployment *deployment.Deployment
	recorder   *history.Recorder
	history    *history.History
	provider   *workload.Provider
	nemesis    *nemesis.Nemesis
}

// run starts the processes, injects the faults and returns the final state.
func (r *run) run(ctx context.Context) (*history.State, error) {
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	poison, err := workload.StartPoison(ctx, r.recorder, r.deployment.Brokers(), r.deployment.Topics())
	if err != nil {
		return nil, err
	}
	lister := workload.StartLister(ctx, r.recorder, r.deployment.APIURLs())
	err = r.injectFaults(ctx)
	lister.Stop()
	poison.Stop()
	if err != nil {
		return nil, err
	}
	r.drain(ctx)
	if err := r.operate(ctx); err != nil {
		return nil, err
	}
	r.history.Faults = r.nemesis.Faults()
	r.resume(ctx)
	if err := r.recorder.Close(r.history); err != nil {
		return nil, err
	}
	if err := r.measureIdle(); err != nil {
		return nil, err
	}
	if r.history.Rederived, err = r.deployment.Rederive(); err != nil {
		return nil, err
	}
	return r.deployment.State()
}

// apiDelay is how long webhooks are sent before the api role starts: roles may
// start in any order.
const apiDelay = 300 * time.Millisecond

// start starts the ingest role first, and the api role when webhooks are in flight.
func (r *run) start(ctx context.Context) error {
	for _, role := range []string{"broker", "ingest"} {
		if err := r.deployment.StartRole(role); err != nil {
			return err
		}
	}
	r.provider = workload.StartProvider(ctx, workload.Generator{Seed: r.Seed}, r.recorder, r.deployment.IngestURLs())
	wait.Pause(ctx, apiDelay)
	if err := r.deployment.StartRole("api"); err != nil {
		return err
	}
	return r.deployment.AwaitReady(deployment.StartTimeout)
}

// injectFaults measures the baseline and then injects faults until the options are
// met. The first one kills the api role, which has just started, and the second one
// restores the database, where that can be.
func (r *run) injectFaults(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*r.Duration)
	defer cancel()
	n := nemesis.New(r.deployment, r.recorder.Now, r.Seed, r.Only)
	r.nemesis = n
	r.awaitLoad(ctx)
	if r.history.Baseline, err = r.deployment.Baseline(); err != nil {
		return err
	}
	began := time.Now()
	n.KillAPI()
	r.recover(ctx, n, 0)
	if n.RestoreDatabase() {
		r.recover(ctx, n, 0)
	}
	for ctx.Err() == nil && (time.Since(began) < r.Duration || r.provider.Acked() < r.Acked || n.Kills() < r.Kills) {
		n.Strike()
		r.recover(ctx, n, n.Between(50*time.Millisecond, 500*time.Millisecond))
	}
	return nil
}

// baselineTimeout is how soon after a fault every process must be back at the
// baseline, once everything is ready and webhooks are acknowledged again.
const baselineTimeout = 10 * time.Second

// recover waits until the program works again and every process is back at the
// baseline, and at least for rest after the program works.
func (r *run) recover(ctx context.Context, n *nemesis.Nemesis, rest time.Duration) {
	r.awaitLoad(ctx)
	next := time.Now().Add(rest)
	n.AwaitBaseline(r.history.Baseline, baselineTimeout)
	wait.Pause(ctx, time.Until(next))
}

const (
	// ackedBetween is the number of webhooks that are acknowledged between two
	// faults: a fault while nothing works shows little.
	ackedBetween = 100
	// loadTimeout is how long to wait for them.
	loadTimeout = 3 * time.Second
)

func (r *run) awaitLoad(ctx context.Context) {
	want, deadline := r.provider.Acked()+ackedBetween, time.Now().Add(loadTimeout)
	for r.provider.Acked() < want && time.Now().Before(deadline) && ctx.Err() == nil {
		wait.Pause(ctx, 20*time.Millisecond)
	}
}

// drain waits until everything is answered and applied.
func (r *run) drain(ctx context.Context) {
	healed := time.Now()
	var unanswered int
	if r.history.Orders, unanswered = r.provider.Finish(); unanswered > 0 {
		r.deployment.Complain("%d webhooks had no final answer within %s after the last fault", unanswered, workload.DrainWithin)
	}
	if err := r.awaitApplied(ctx, 0); err != nil {
		r.deployment.Complain("%s after the last fault: %v", r.Limits.CaughtUp, err)
		r.history.CaughtUp = -1
		return
	}
	r.history.CaughtUp = time.Since(healed)
}

// awaitApplied waits until everything that was answered 2xx is applied. It is called
// in rounds, numbered from 0.
//
// The late updates of a long history are applied after the others of their batch, to
// which sentinels may belong. Sentinels that are sent when those are applied belong to a
// later batch.
func (r *run) awaitApplied(ctx context.Context, round int) error {
	ctx, cancel := context.WithTimeout(ctx, r.Limits.CaughtUp)
	defer cancel()
	for _, n := range []int{2 * round, 2*round + 1} {
		if err := workload.SendSentinels(ctx, r.recorder, r.deployment.IngestURLs(), n); err != nil {
			return err
		}
		if err := r.deployment.AwaitEvents(ctx, workload.SentinelUser, (1+n)*workload.Sentinels); err != nil {
			return err
		}
	}
	return nil
}

// resume has the provider send what it held back until the decisions, and again what
// they are about: neither may undo a decision.
func (r *run) resume(ctx context.Context) {
	var decided []history.Key
	for _, d := range r.history.Decisions {
		decided = append(decided, d.Letter.Key())
	}
	if unanswered := r.provider.Resume(ctx, decided); unanswered > 0 {
		r.deployment.Complain("%d webhooks had no final answer within %s after the decisions of the operator", unanswered, workload.DrainWithin)
	}
	if err := r.awaitApplied(ctx, 1); err != nil {
		r.deployment.Complain("%s after the decisions of the operator: %v", r.Limits.CaughtUp, err)
	}
}

// measureIdle measures the idle usage of the processes, and then of the same
// processes started anew. Every stop has to be a clean one.
func (r *run) measureIdle() (err error) {
	if r.history.Used, err = r.deployment.IdleUsage(); err != nil {
		return err
	}
	r.deployment.Terminate()
	for _, role := range []string{"broker", "api", "ingest"} {
		if err := r.deployment.StartRole(role); err != nil {
			return err
		}
	}
	if err := r.deployment.AwaitReady(deployment.StartTimeout); err != nil {
		return err
	}
	if r.history.Fresh, err = r.deployment.Usage(); err != nil {
		return err
	}
	r.deployment.Terminate()
	return nil
}
