// Package nemesis injects the faults of a run: it chooses by a seed what to do to
// which process, link or database of a deployment, ends each fault again, waits
// until everything is ready, and records when that was. The deployment carries the
// faults out, and the checker decides whether the program withstood them.
package nemesis

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// act is a fault that can be injected. Acts are chosen in proportion to their
// weights.
type act struct {
	kind, target string
	weight       int
}

func (a act) String() string { return a.kind + " " + a.target }

const (
	killWeight      = 30
	terminateWeight = 3
	freezeWeight    = 3
	linkWeight      = 1
	lockWeight      = 3
	restoreWeight   = 2
	// A node of Kafka takes seconds to come back.
	nodeKillWeight, nodeTerminateWeight, nodeFreezeWeight = 3, 1, 1
)

// Nemesis injects one episode of faults after the other.
type Nemesis struct {
	rand       *rand.Rand
	deployment *deployment.Deployment
	targets    map[string]deployment.Process
	now        func() int64 // the time of the run
	acts       []act
	faults     []history.Fault
	last       int // the index of the first fault of the last episode
}

// New returns a nemesis that can inject every fault of a deployment, or only those
// that begin with one of the prefixes in only, such as "kill api". now is the time
// of the run.
func New(d *deployment.Deployment, now func() int64, seed uint64, only []string) *Nemesis {
	n := &Nemesis{rand: rand.New(rand.NewPCG(seed, hash(d.Cell))), deployment: d, targets: d.Targets(), now: now}
	for _, name := range slices.Sorted(maps.Keys(n.targets)) {
		kill, terminate, freeze := killWeight, terminateWeight, freezeWeight
		if isNode(name) {
			kill, terminate, freeze = nodeKillWeight, nodeTerminateWeight, nodeFreezeWeight
		}
		n.acts = append(n.acts, act{history.Kill, name, kill}, act{history.Terminate, name, terminate}, act{history.Freeze, name, freeze})
	}
	for _, l := range d.Links {
		for _, kind := range history.LinkFaults {
			n.acts = append(n.acts, act{kind, l.Name, linkWeight})
		}
	}
	if d.Store == history.SQLite {
		n.acts = append(n.acts, act{history.Lock, "database", lockWeight})
	}
	if canRestore(d.Cell) {
		n.acts = append(n.acts, act{history.Restore, "database", restoreWeight})
	}
	if len(only) > 0 {
		n.restrict(only)
	}
	return n
}

// restrict leaves the acts that begin with one of the prefixes, with equal weights.
func (n *Nemesis) restrict(only []string) {
	n.acts = slices.DeleteFunc(n.acts, func(a act) bool {
		return !slices.ContainsFunc(only, func(prefix string) bool { return strings.HasPrefix(a.String(), prefix) })
	})
	for i := range n.acts {
		n.acts[i].weight = 1
	}
}

// hash makes the faults of cells differ that run with the same seed.
func hash(cell history.Cell) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(cell.String())) // a hash never fails
	return h.Sum64()
}

func (n *Nemesis) choose() act {
	sum := 0
	for _, a := range n.acts {
		sum += a.weight
	}
	at := n.rand.IntN(sum)
	for _, a := range n.acts {
		if at -= a.weight; at < 0 {
			return a
		}
	}
	panic("no act")
}

// Between returns a random duration.
func (n *Nemesis) Between(least, most time.Duration) time.Duration {
	return least + time.Duration(n.rand.Int64N(int64(most-least)))
}

// Strike injects a random fault, sometimes with others while it lasts, and waits
// until every process is ready again.
func (n *Nemesis) Strike() { n.episode(n.choose()) }

// KillAPI is [Nemesis.Strike] with a SIGKILL to the first api process.
func (n *Nemesis) KillAPI() { n.episode(act{kind: history.Kill, target: "api-1"}) }

// KillAmong is [Nemesis.Strike] with a SIGKILL to a random process of those whose names
// begin with one of the prefixes. No webhooks are sent meanwhile.
func (n *Nemesis) KillAmong(prefixes ...string) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(n.targets)) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			names = append(names, name)
		}
	}
	n.episode(act{kind: history.Kill, target: names[n.rand.IntN(len(names))]})
	for i := range n.faults[n.last:] {
		n.faults[n.last+i].Idle = true
	}
}

// RestoreDatabase is [Nemesis.Strike] with a backup that is put in the place of the
// database. It does nothing if there can be no such fault, and reports whether it did.
func (n *Nemesis) RestoreDatabase() bool {
	i := slices.IndexFunc(n.acts, func(a act) bool { return a.kind == history.Restore })
	if i < 0 {
		return false
	}
	n.episode(n.acts[i])
	return true
}

// canRestore reports whether a cell has a database whose backup lacks nothing: the log of
// the embedded broker has what was acknowledged since.
func canRestore(c history.Cell) bool {
	return c.Store == history.SQLite && c.Broker == history.Embedded
}

func (n *Nemesis) episode(a act) {
	n.last = len(n.faults)
	switch a.kind {
	case history.Restore:
		n.restore(a)
	case history.Kill, history.Terminate:
		n.restart(a)
	default:
		n.hold(a)
	}
	over := n.now()
	if err := n.deployment.AwaitReady(deployment.StartTimeout); err != nil {
		n.deployment.Complain("after %s: %v", a, err)
		for _, m := range n.deployment.Members {
			if m.Gone() { // as a supervisor would
				n.start(m.Name)
			}
		}
	}
	for i := range n.faults[n.last:] {
		n.faults[n.last+i].Over, n.faults[n.last+i].Ready = over, n.now()
	}
}

// AwaitBaseline measures the usage of every member until all are back at the
// baseline or the time is up, and records the last measurement with the faults of
// the last episode.
func (n *Nemesis) AwaitBaseline(baseline []history.Usage, within time.Duration) {
	deadline := time.Now().Add(within)
	now, err := n.deployment.Usage()
	for time.Now().Before(deadline) && (err != nil || !history.AtBaseline(baseline, now)) {
		time.Sleep(usagePeriod)
		now, err = n.deployment.Usage()
	}
	if err != nil {
		n.deployment.Complain("after %s: %v", &n.faults[n.last], err)
	}
	for i := range n.faults[n.last:] {
		n.faults[n.last+i].Measured, n.faults[n.last+i].Usage = n.now(), now
	}
}

const usagePeriod = 100 * time.Millisecond

// Faults returns the faults so far.
func (n *Nemesis) Faults() []history.Fault { return n.faults }

// Kills returns the number of processes that were killed so far.
func (n *Nemesis) Kills() (kills int) {
	for _, f := range n.faults {
		if f.Kind == history.Kill {
			kills++
		}
	}
	return kills
}
