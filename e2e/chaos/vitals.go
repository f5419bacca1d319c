package chaos

import (
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
