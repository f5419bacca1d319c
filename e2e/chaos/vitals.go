package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// vitals are the member's, right after a garbage collection.
func (m *member) vitals() (Vitals, error) {
	v := Vitals{Process: m.name}
	if answer, ok := m.probe("/debug/pprof/heap?gc=1"); !ok {
		return v, fmt.Errorf("collect the garbage of %s: %s", m.name, answer)
	}
	answer, ok := m.probe("/metrics")
	if !ok {
		return v, fmt.Errorf("read the metrics of %s: %s", m.name, answer)
	}
	v.Goroutines, v.Heap = int(metric(answer, "go_goroutines")), int64(metric(answer, "go_memstats_heap_alloc_bytes"))
	return v, nil
}

// metric is the value of a metric without labels, 0 if there is none.
func metric(text, name string) (value float64) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			_, _ = fmt.Sscan(rest, &value) // a metric is a number
		}
	}
	return value
}

// vitals are everybody's.
func (c *cluster) vitals() ([]Vitals, error) {
	var all []Vitals
	for _, m := range c.members {
		v, err := m.vitals()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

const (
	// baselineLooks, so far apart, are at what the load needs.
	baselineLooks, betweenLooks = 5, 100 * time.Millisecond
	// backWithin is how soon everybody has to be back at the baseline after a fault,
	// once everything is ready and webhooks are acknowledged again.
	backWithin = 10 * time.Second
)

// baseline is the most that everybody needs in some looks under the load.
func (c *cluster) baseline(ctx context.Context) ([]Vitals, error) {
	most, err := c.vitals()
	for range baselineLooks - 1 {
		if err != nil {
			return nil, err
		}
		pause(ctx, betweenLooks)
		var now []Vitals
		if now, err = c.vitals(); err == nil {
			for i := range most { // the same processes in the same sequence
				most[i].Goroutines, most[i].Heap = max(most[i].Goroutines, now[i].Goroutines), max(most[i].Heap, now[i].Heap)
			}
		}
	}
	return most, err
}

// settle looks at everybody until all are back at the baseline, or the time for that
// is up, and notes with the faults of the last episode what was seen.
func (n *nemesis) settle(baseline []Vitals, within time.Duration) {
	deadline := time.Now().Add(within)
	now, err := n.vitals()
	for time.Now().Before(deadline) && (err != nil || !back(baseline, now)) {
		n.rest(betweenLooks)
		now, err = n.vitals()
	}
	if err != nil {
		n.complain("after %s of %s: %v", n.faults[n.last].Kind, n.faults[n.last].Target, err)
	}
	for i := range n.faults[n.last:] {
		n.faults[n.last+i].Looked, n.faults[n.last+i].Vitals = n.ledger.Now(), now
	}
}

// rested are everybody's once they need no less from one look to the next.
func (c *cluster) rested() ([]Vitals, error) {
	const looks, between = 10, 500 * time.Millisecond
	least, err := c.vitals()
	for range looks {
		if err != nil {
			return nil, err
		}
		time.Sleep(between)
		var now []Vitals
		if now, err = c.vitals(); err == nil && goroutines(now) >= goroutines(least) {
			return least, nil
		}
		least = now
	}
	return least, err
}

func goroutines(all []Vitals) (sum int) {
	for _, v := range all {
		sum += v.Goroutines
	}
	return sum
}
