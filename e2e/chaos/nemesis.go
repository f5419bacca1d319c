package chaos

import (
	"context"
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
	first := len(n.faults)
	switch a.kind {
	case kill, terminate:
		n.strike(a)
	default:
		n.hold(a)
	}
	healed := n.ledger.Now()
	if err := n.awaitMembers(startWithin); err != nil {
		n.complain("after %s: %v", a, err)
		n.raiseDead()
	}
	for i := range n.faults[first:] {
		n.faults[first+i].Healed, n.faults[first+i].Ready = healed, n.ledger.Now()
	}
}

// raiseDead starts those that ended by themselves, as whoever runs them would.
func (n *nemesis) raiseDead() {
	for _, m := range n.members {
		select {
		case <-m.process.Exited():
			n.raise(m.name)
		default:
		}
	}
}

// note is the beginning of a fault.
func (n *nemesis) note(a act) {
	n.faults = append(n.faults, Fault{Kind: a.kind, Target: a.target, From: n.ledger.Now()})
}

// strike ends a process and starts it again. A node of Kafka takes its time for
// that, and others are struck meanwhile.
func (n *nemesis) strike(a act) {
	n.fell(a)
	n.rest(n.between(0, 300*time.Millisecond))
	if !isNode(a.target) {
		n.raise(a.target)
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		n.raise(a.target)
	}()
	for range 3 {
		n.rest(n.between(300*time.Millisecond, 1500*time.Millisecond))
		n.strike(act{kind: kill, target: n.victim(isMember)})
	}
	<-back
}

func isNode(name string) bool { return strings.HasPrefix(name, "kafka-") }

func isMember(name string) bool { return !isNode(name) && name != "postgres" }

func (n *nemesis) rest(d time.Duration) { pause(context.Background(), d) }

func (n *nemesis) fell(a act) {
	n.note(a)
	end := n.actors[a.target].kill
	if a.kind == terminate {
		end = n.actors[a.target].terminate
	}
	if err := end(); err != nil {
		n.complain("%s: %v", a, err)
	}
}

func (n *nemesis) raise(name string) {
	if err := n.actors[name].start(); err != nil {
		n.complain("start %s: %v", name, err)
	}
}

// victim is one of those that may be killed and are as wanted; empty if there is
// none.
func (n *nemesis) victim(wanted func(string) bool) string {
	var names []string
	for _, a := range n.acts {
		if a.kind == kill && wanted(a.target) {
			names = append(names, a.target)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[n.IntN(len(names))]
}

// hold does something that lasts for a while. In half of the cases a process is
// killed meanwhile, which comes back when it is over.
func (n *nemesis) hold(a act) {
	n.note(a)
	end, err := n.begin(a)
	if err != nil {
		n.complain("%s: %v", a, err)
		return
	}
	lasts, killed := n.lasts(a), ""
	if n.Float64() < 0.5 {
		n.rest(lasts * 3 / 4)
		lasts -= lasts * 3 / 4
		killed = n.victimOf(a)
	}
	if killed != "" {
		n.fell(act{kind: kill, target: killed})
	}
	n.rest(lasts)
	if err := end(); err != nil {
		n.complain("end of %s: %v", a, err)
	}
	if killed != "" {
		n.raise(killed)
	}
}

// lasts is for how long something is held: now and then longer than anybody waits.
func (n *nemesis) lasts(a act) time.Duration {
	if a.kind == lock {
		return n.between(time.Second, 2500*time.Millisecond)
	}
	lasts := n.between(200*time.Millisecond, 2*time.Second)
	if n.Float64() < 0.2 {
		lasts += Strict.Answer
	}
	return lasts
}

// victimOf is who is killed while something is held: who waits for a lock, or
// anybody who is not held.
func (n *nemesis) victimOf(a act) string {
	if a.kind == lock {
		return "api-1"
	}
	return n.victim(func(name string) bool { return name != a.target && isMember(name) })
}

// begin starts something that lasts until end.
func (n *nemesis) begin(a act) (end func() error, err error) {
	switch a.kind {
	case freeze:
		frozen := n.actors[a.target]
		return frozen.thaw, frozen.freeze()
	case lock:
		return n.lockDatabase()
	default:
		l := n.link(a.target)
		return l.mend, l.disturb(a.kind)
	}
}
