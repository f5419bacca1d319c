package chaos

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// What is done to processes. A lock is what another program does that works on
// the database's file, such as a backup.
const (
	kill      = "kill"
	terminate = "terminate"
	freeze    = "freeze"
	lock      = "lock"
)

// act is something that the nemesis can do, and how likely it is to be chosen.
type act struct {
	kind, target string
	weight       int
}

func (a act) String() string { return a.kind + " " + a.target }

// The weights: most of all, processes are killed.
const (
	killWeight, terminateWeight, freezeWeight = 30, 3, 3
	linkWeight                                = 1
	lockWeight                                = 3
	// A node of Kafka is away for seconds, so it is struck more rarely.
	nodeKillWeight = 3
)

// nemesis does one thing after the other, chosen by its seed. After each it waits
// until everything is ready again, and notes when that was.
type nemesis struct {
	*cluster
	*rand.Rand
	ledger *Ledger
	actors map[string]actor
	acts   []act
	faults []Fault
	last   int // the first fault of the last episode
}

// newNemesis can do everything that there is to do, or only what begins with one
// of some words, such as "kill api".
func newNemesis(c *cluster, ledger *Ledger, seed uint64, only []string) *nemesis {
	n := &nemesis{cluster: c, Rand: rand.New(rand.NewPCG(seed, seedOf(c.Cell))), ledger: ledger, actors: c.actors()}
	for _, name := range slices.Sorted(maps.Keys(n.actors)) {
		if isNode(name) {
			n.acts = append(n.acts, act{kill, name, nodeKillWeight}, act{terminate, name, 1}, act{freeze, name, 1})
			continue
		}
		n.acts = append(n.acts, act{kill, name, killWeight}, act{terminate, name, terminateWeight}, act{freeze, name, freezeWeight})
	}
	for _, l := range c.links {
		for _, kind := range []string{blackhole, reset, latency, slice} {
			n.acts = append(n.acts, act{kind, l.name, linkWeight})
		}
	}
	if c.Store == SQLite {
		n.acts = append(n.acts, act{lock, "database", lockWeight})
	}
	if len(only) > 0 {
		n.confine(only)
	}
	return n
}

// confine leaves the acts that begin with one of the words, each as likely as the
// other.
func (n *nemesis) confine(only []string) {
	n.acts = slices.DeleteFunc(n.acts, func(a act) bool {
		return !slices.ContainsFunc(only, func(words string) bool { return strings.HasPrefix(a.String(), words) })
	})
	for i := range n.acts {
		n.acts[i].weight = 1
	}
}

// seedOf keeps cells from being struck in one and the same way.
func seedOf(cell Cell) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(cell.String())) // a hash takes everything
	return hash.Sum64()
}

func (n *nemesis) choose() act {
	sum := 0
	for _, a := range n.acts {
		sum += a.weight
	}
	at := n.IntN(sum)
	for _, a := range n.acts {
		if at -= a.weight; at < 0 {
			return a
		}
	}
	panic("no act")
}

func (n *nemesis) between(least, most time.Duration) time.Duration {
	return least + time.Duration(n.Int64N(int64(most-least)))
}

// episode is one act, now and then with a second one while it lasts, until
// everything is ready again.
func (n *nemesis) episode(a act) {
	n.last = len(n.faults)
	switch a.kind {
	case kill, terminate:
		n.strike(a)
	default:
		n.hold(a)
	}
	over := n.ledger.Now()
	if err := n.awaitMembers(startWithin); err != nil {
		n.complain("after %s: %v", a, err)
		n.raiseDead()
	}
	for i := range n.faults[n.last:] {
		n.faults[n.last+i].Over, n.faults[n.last+i].Ready = over, n.ledger.Now()
	}
}

// raiseDead starts those that ended by themselves, as whoever runs them would.
func (n *nemesis) raiseDead() {
	for _, m := range n.members {
		if m.process.Gone() {
			n.raise(m.name)
		}
	}
}

// note is the beginning of a fault, and gives its place.
func (n *nemesis) note(a act) int {
	n.faults = append(n.faults, Fault{Kind: a.kind, Target: a.target, From: n.ledger.Now()})
	return len(n.faults) - 1
}

// healed is the end of a fault.
func (n *nemesis) healed(place int) { n.faults[place].Healed = n.ledger.Now() }
