package chaos

import (
	"context"
	"hash/fnv"
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
)

// nemesis does one thing after the other, chosen by its seed. After each it waits
// until everything is ready again, and notes when that was.
type nemesis struct {
	*cluster
	*rand.Rand
	ledger *Ledger
	acts   []act
	faults []Fault
}

// newNemesis can do everything that there is to do, or only what begins with one
// of some words, such as "kill api".
func newNemesis(c *cluster, ledger *Ledger, seed uint64, only []string) *nemesis {
	n := &nemesis{cluster: c, Rand: rand.New(rand.NewPCG(seed, seedOf(c.Cell))), ledger: ledger}
	for _, t := range c.targets() {
		n.acts = append(n.acts, act{kill, t, killWeight}, act{terminate, t, terminateWeight}, act{freeze, t, freezeWeight})
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
		n.acts = slices.DeleteFunc(n.acts, func(a act) bool {
			return !slices.ContainsFunc(only, func(words string) bool { return strings.HasPrefix(a.String(), words) })
		})
	}
	return n
}

// seedOf keeps cells from being struck in one and the same way.
func seedOf(cell Cell) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(cell.String())) // a hash takes everything
	return hash.Sum64()
}

// targets are the processes that can be struck.
func (c *cluster) targets() []string {
	var names []string
	for _, m := range c.members {
		names = append(names, m.name)
	}
	return names
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
	first := len(n.faults)
	switch a.kind {
	case kill, terminate:
		n.strike(a)
	default:
		n.hold(a)
	}
	healed := n.ledger.Now()
	if err := n.awaitMembers(2 * readyWithin); err != nil {
		n.complain("after %s: %v", a, err)
	}
	for i := range n.faults[first:] {
		n.faults[first+i].Healed, n.faults[first+i].Ready = healed, n.ledger.Now()
	}
}

// note is the beginning of a fault.
func (n *nemesis) note(a act) {
	n.faults = append(n.faults, Fault{Kind: a.kind, Target: a.target, From: n.ledger.Now()})
}

// strike ends a process and starts it again.
func (n *nemesis) strike(a act) {
	n.note(a)
	if err := n.fell(a); err != nil {
		n.complain("%s: %v", a, err)
	}
	n.rest(n.between(0, 300*time.Millisecond))
	n.raise(a.target)
}

func (n *nemesis) rest(d time.Duration) { pause(context.Background(), d) }

func (n *nemesis) fell(a act) error {
	m := n.member(a.target)
	defer n.ended(m)
	if a.kind == kill {
		return m.process.Kill()
	}
	return m.process.Terminate(stopWithin)
}

func (n *nemesis) raise(name string) {
	if err := n.start(n.member(name)); err != nil {
		n.complain("start %s: %v", name, err)
	}
}

// hold does something that lasts for a while. In half of the cases a process is
// killed meanwhile, which comes back when it is over.
func (n *nemesis) hold(a act) {
	n.note(a)
	lasts := n.between(200*time.Millisecond, 2*time.Second)
	if n.Float64() < 0.15 {
		lasts += edgeTimeout // longer than anybody waits
	}
	end, err := n.begin(a)
	if err != nil {
		n.complain("%s: %v", a, err)
		return
	}
	killed := ""
	if n.Float64() < 0.5 {
		killed = n.killMeanwhile(a, lasts/2)
		lasts -= lasts / 2
	}
	n.rest(lasts)
	if err := end(); err != nil {
		n.complain("end of %s: %v", a, err)
	}
	if killed != "" {
		n.raise(killed)
	}
}

// killMeanwhile kills a member that the act does not hold itself.
func (n *nemesis) killMeanwhile(a act, after time.Duration) string {
	var others []string
	for _, k := range n.acts {
		if k.kind == kill && k.target != a.target {
			others = append(others, k.target)
		}
	}
	n.rest(after)
	if len(others) == 0 {
		return ""
	}
	k := act{kind: kill, target: others[n.IntN(len(others))]}
	n.note(k)
	if err := n.fell(k); err != nil {
		n.complain("%s: %v", k, err)
	}
	return k.target
}

// begin starts something that lasts until end.
func (n *nemesis) begin(a act) (end func() error, err error) {
	switch a.kind {
	case freeze:
		m := n.member(a.target)
		return m.process.Thaw, m.process.Freeze()
	case lock:
		return n.lockDatabase()
	default:
		l := n.link(a.target)
		return l.mend, l.disturb(a.kind)
	}
}

func (c *cluster) member(name string) *member {
	for _, m := range c.members {
		if m.name == name {
			return m
		}
	}
	return nil
}
