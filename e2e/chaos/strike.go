package chaos

import (
	"context"
	"strings"
	"time"
)

// strike ends a process and starts it again. A node of Kafka takes its time for
// that, and others are struck meanwhile.
func (n *nemesis) strike(a act) {
	place := n.fell(a)
	defer func() { n.healed(place) }()
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

func (n *nemesis) fell(a act) (place int) {
	place = n.note(a)
	end := n.actors[a.target].kill
	if a.kind == terminate {
		end = n.actors[a.target].terminate
	}
	if err := end(); err != nil {
		n.complain("%s: %v", a, err)
	}
	return place
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
	place := n.note(a)
	end, err := n.begin(a)
	if err != nil {
		n.complain("%s: %v", a, err)
		return
	}
	lasts := n.lasts(a)
	if n.Float64() < 0.5 {
		n.rest(lasts * 3 / 4)
		lasts -= lasts * 3 / 4
		if victim := n.victimOf(a); victim != "" {
			felled := n.fell(act{kind: kill, target: victim})
			defer func() { n.raise(victim); n.healed(felled) }()
		}
	}
	n.rest(lasts)
	if err := end(); err != nil {
		n.complain("end of %s: %v", a, err)
	}
	n.healed(place)
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
