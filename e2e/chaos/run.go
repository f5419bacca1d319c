package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Options say what is run, how long and how hard.
type Options struct {
	Cell   Cell
	Seed   uint64
	Binary string
	// Dir is where the cell keeps its data, logs, ledger and final state.
	Dir     string
	Servers Servers
	// Duration is how long the nemesis is at work; longer, up to four times, where
	// that is needed for so many acknowledged webhooks and kills.
	Duration time.Duration
	Acked    int64
	Kills    int
	// Limits are what the run is held to.
	Limits Limits
	// Only, if set, is what the nemesis does: acts that begin with one of these
	// words, such as "kill api".
	Only []string
}

// Run is one run of one cell, up to the report. The error is about the run itself:
// what is wrong with payrelay is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the run's directory: %w", err)
	}
	ledger, err := OpenLedger(filepath.Join(o.Dir, ledgerFile))
	if err != nil {
		return nil, err
	}
	c, err := newCluster(o.Cell, o.Servers, o.Binary, o.Dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{Options: o, cluster: c, ledger: ledger, history: &History{Cell: o.Cell, Seed: o.Seed, Limits: o.Limits}}
	w := startWatch(ledger.Now)
	state, err := r.whole(ctx)
	cancel()
	r.provider.wait()
	r.history.Stalls = w.end()
	if err := errors.Join(err, c.close()); err != nil {
		return nil, fmt.Errorf("run %s with seed %d: %w", o.Cell, o.Seed, err)
	}
	r.history.Complaints = c.complaints
	if err := Save(o.Dir, r.history, state); err != nil {
		return nil, err
	}
	return NewReport(r.history, state), nil
}

type run struct {
	Options
	cluster  *cluster
	ledger   *Ledger
	history  *History
	provider *Provider
}

// whole is the run from the first process to the final state.
func (r *run) whole(ctx context.Context) (*State, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	stranger, err := startStranger(ctx, r.cluster, r.ledger)
	if err != nil {
		return nil, err
	}
	err = r.strike(ctx)
	stranger.end()
	if err != nil {
		return nil, err
	}
	r.quiesce(ctx)
	if err := r.ledger.Close(r.history); err != nil {
		return nil, err
	}
	if err := r.examine(); err != nil {
		return nil, err
	}
	return r.cluster.read()
}

// lateStart is how long webhooks come already when the api role starts: roles may
// start in any sequence.
const lateStart = 300 * time.Millisecond

// begin starts the edge first, and the api role when webhooks are under way.
func (r *run) begin(ctx context.Context) error {
	for _, role := range []string{"broker", "ingest"} {
		if err := r.cluster.startRole(role); err != nil {
			return err
		}
	}
	r.provider = StartProvider(ctx, Generator{r.Seed}, r.ledger, r.cluster.edges())
	pause(ctx, lateStart)
	if err := r.cluster.startRole("api"); err != nil {
		return err
	}
	return r.cluster.awaitMembers(startWithin)
}

// startRole starts the processes of a role and waits for them.
func (c *cluster) startRole(role string) error {
	for _, m := range c.members {
		if m.role != role {
			continue
		}
		if err := c.start(m); err != nil {
			return err
		}
		if err := m.process.AwaitReady(startWithin); err != nil {
			return err
		}
	}
	return nil
}

// strike lets the nemesis work, for as long as was asked for. It begins with the
// api role, which has just started. What the processes need under the load is looked
// at before that, and after each fault: in the pause before the next one.
func (r *run) strike(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*r.Duration)
	defer cancel()
	n := newNemesis(r.cluster, r.ledger, r.Seed, r.Only)
	r.awaitLoad(ctx)
	if r.history.Baseline, err = r.cluster.baseline(ctx); err != nil {
		return err
	}
	began := time.Now()
	n.episode(act{kind: kill, target: "api-1"})
	r.recovery(ctx, n, 0)
	for ctx.Err() == nil && (time.Since(began) < r.Duration || r.provider.Acked() < r.Acked || n.killed() < r.Kills) {
		n.episode(n.choose())
		r.recovery(ctx, n, n.between(50*time.Millisecond, 500*time.Millisecond))
	}
	r.history.Faults = n.faults
	return nil
}

// recovery waits until the program works again and everybody is back at the
// baseline, and for at least so long once it works.
func (r *run) recovery(ctx context.Context, n *nemesis, rest time.Duration) {
	r.awaitLoad(ctx)
	next := time.Now().Add(rest)
	n.settle(r.history.Baseline, backWithin)
	pause(ctx, time.Until(next))
}

const (
	// underLoad is how many webhooks are acknowledged between two faults: to strike
	// what does not work yet shows little.
	underLoad = 100
	// loadWithin is how long they are waited for.
	loadWithin = 3 * time.Second
)

func (r *run) awaitLoad(ctx context.Context) {
	want, deadline := r.provider.Acked()+underLoad, time.Now().Add(loadWithin)
	for r.provider.Acked() < want && time.Now().Before(deadline) && ctx.Err() == nil {
		pause(ctx, 20*time.Millisecond)
	}
}

func (n *nemesis) killed() (kills int) {
	for _, f := range n.faults {
		if f.Kind == kill {
			kills++
		}
	}
	return kills
}

// quiesce waits until everything is answered and applied.
func (r *run) quiesce(ctx context.Context) {
	healed := time.Now()
	var unanswered int
	if r.history.Orders, unanswered = r.provider.Finish(); unanswered > 0 {
		r.cluster.complain("%d webhooks were not answered for good within %s after the last fault", unanswered, drainWithin)
	}
	if err := r.awaitApplied(ctx); err != nil {
		r.cluster.complain("%v", err)
		r.history.CaughtUp = -1
		return
	}
	r.history.CaughtUp = time.Since(healed)
}

// examine compares what the processes need now with what new ones need, and wants
// every stop to be a clean one.
func (r *run) examine() (err error) {
	if r.history.Used, err = r.cluster.rested(); err != nil {
		return err
	}
	r.cluster.terminate()
	for _, role := range []string{"broker", "api", "ingest"} {
		if err := r.cluster.startRole(role); err != nil {
			return err
		}
	}
	if err := r.cluster.awaitMembers(startWithin); err != nil {
		return err
	}
	if r.history.Fresh, err = r.cluster.vitals(); err != nil {
		return err
	}
	r.cluster.terminate()
	return nil
}

// terminate stops every member, the edge first.
func (c *cluster) terminate() {
	for i := len(c.members) - 1; i >= 0; i-- {
		if err := c.members[i].process.Terminate(stopWithin); err != nil {
			c.complain("%v", err)
		}
	}
}
