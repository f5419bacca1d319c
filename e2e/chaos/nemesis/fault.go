package nemesis

import (
	"errors"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// restart ends a process and starts it again. While a node of Kafka starts, which
// takes seconds, members are killed.
func (n *Nemesis) restart(a act) {
	index := n.end(a)
	defer func() { n.healed(index) }()
	time.Sleep(n.Between(0, 300*time.Millisecond))
	if !isNode(a.target) {
		n.start(a.target)
		return
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		n.start(a.target)
	}()
	for range 3 {
		time.Sleep(n.Between(300*time.Millisecond, 1500*time.Millisecond))
		n.restart(act{kind: history.Kill, target: n.victim(isMember)})
	}
	<-started
}

func isNode(name string) bool { return strings.HasPrefix(name, "kafka-") }

func isMember(name string) bool { return !isNode(name) && name != "postgres" }

// begin records the beginning of a fault, and returns its index.
func (n *Nemesis) begin(a act) (index int) {
	n.faults = append(n.faults, history.Fault{Kind: a.kind, Target: a.target, From: n.now()})
	return len(n.faults) - 1
}

// healed records the end of a fault.
func (n *Nemesis) healed(index int) { n.faults[index].Healed = n.now() }

// end kills or terminates a process.
func (n *Nemesis) end(a act) (index int) {
	index = n.begin(a)
	end := n.targets[a.target].Kill
	if a.kind == history.Terminate {
		end = n.targets[a.target].Stop
	}
	if err := end(); err != nil {
		n.deployment.Complain("%s: %v", a, err)
	}
	return index
}

func (n *Nemesis) start(name string) {
	if err := n.targets[name].Start(); err != nil {
		n.deployment.Complain("start %s: %v", name, err)
	}
}

// victim returns a random process that may be killed and matches, or "".
func (n *Nemesis) victim(match func(string) bool) string {
	var names []string
	for _, a := range n.acts {
		if a.kind == history.Kill && match(a.target) {
			names = append(names, a.target)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[n.rand.IntN(len(names))]
}

// hold injects a fault that lasts. In half of the cases a process is killed in the
// last quarter of it, and started again when it is over.
func (n *Nemesis) hold(a act) {
	index := n.begin(a)
	end, err := n.inject(a)
	if err != nil {
		n.deployment.Complain("%s: %v", a, err)
		return
	}
	lasts := n.duration(a)
	if n.rand.Float64() < 0.5 {
		time.Sleep(lasts * 3 / 4)
		lasts -= lasts * 3 / 4
		if victim := n.victimDuring(a); victim != "" {
			killed := n.end(act{kind: history.Kill, target: victim})
			defer func() { n.start(victim); n.healed(killed) }()
		}
	}
	time.Sleep(lasts)
	if err := end(); err != nil {
		n.deployment.Complain("end of %s: %v", a, err)
	}
	n.healed(index)
}

// duration returns how long a fault lasts: sometimes longer than any deadline.
func (n *Nemesis) duration(a act) time.Duration {
	if a.kind == history.Lock {
		return n.Between(time.Second, 2500*time.Millisecond)
	}
	lasts := n.Between(200*time.Millisecond, 2*time.Second)
	if n.rand.Float64() < 0.2 {
		lasts += history.Strict.Answer
	}
	return lasts
}

// victimDuring returns the process to kill during a fault: the process that waits
// for a lock, or any member that is not the target.
func (n *Nemesis) victimDuring(a act) string {
	if a.kind == history.Lock {
		return "api-1"
	}
	return n.victim(func(name string) bool { return name != a.target && isMember(name) })
}

// inject begins a fault that lasts until end.
func (n *Nemesis) inject(a act) (end func() error, err error) {
	switch a.kind {
	case history.Freeze:
		frozen := n.targets[a.target]
		return frozen.Thaw, frozen.Freeze()
	case history.Lock:
		return n.deployment.LockDatabase()
	default:
		l := n.deployment.Link(a.target)
		return l.Restore, l.Disturb(a.kind)
	}
}

// commitInterval is longer than the time between two commits of a consumer's offsets.
const commitInterval = 1500 * time.Millisecond

// restore makes a backup, and some time later ends the api process, puts the backup in the
// place of the database, and starts the process again. It waits until that is ready, which
// it is once the broker counts the process before it out of the group.
func (n *Nemesis) restore(a act) {
	time.Sleep(commitInterval) // so that the backup has a position in the middle of the log
	if err := n.deployment.BackUp(); err != nil {
		n.deployment.Complain("%s: %v", a, err)
		return
	}
	time.Sleep(commitInterval + n.Between(0, 1500*time.Millisecond))
	index := n.begin(a)
	defer func() { n.healed(index) }()
	end := n.targets["api-1"].Kill
	if n.rand.Float64() < 0.5 {
		end = n.targets["api-1"].Stop
	}
	if err := errors.Join(end(), n.deployment.Restore()); err != nil {
		n.deployment.Complain("%s: %v", a, err)
	}
	n.start("api-1")
	if err := n.deployment.AwaitReady(deployment.StartTimeout); err != nil {
		n.deployment.Complain("after %s: %v", a, err)
	}
}
