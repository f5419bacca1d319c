package deployment

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
)

// Member is a process of the program, which can be started any number of times.
type Member struct {
	Name    string
	Serve   program.Serve
	process *program.Process
}

// Gone reports whether the process has ended.
func (m *Member) Gone() bool { return m.process.Gone() }

// start starts a member with its data and addresses, and enables the links to it.
// It does not wait until the member is ready.
func (d *Deployment) start(m *Member) error {
	for _, l := range d.linksTo(m) {
		if err := l.enable(); err != nil {
			return err
		}
	}
	o := program.Options{Name: m.Name, Binary: d.binary, Args: m.Serve.Args(), Dir: d.dir, Line: func(line string) {
		for _, secret := range []string{history.CardNumber, history.Secret} {
			if err := program.CheckLog(line, secret); err != nil {
				d.Complain("%s logged %v", m.Name, err)
				break
			}
		}
	}}
	p, err := program.Start(o, filepath.Join(d.dir, m.Name+".out"), filepath.Join(d.dir, m.Name+".log"))
	if err != nil {
		return err
	}
	m.process = p
	return nil
}

func (d *Deployment) linksTo(m *Member) []*Link {
	var links []*Link
	for _, l := range d.Links {
		if strings.HasSuffix(l.Name, " to "+m.Name) {
			links = append(links, l)
		}
	}
	return links
}

// StartRole starts the members of a role, one after the other, and waits until
// each is ready.
func (d *Deployment) StartRole(role string) error {
	for _, m := range d.Members {
		if m.Serve.Role != role {
			continue
		}
		if err := d.start(m); err != nil {
			return err
		}
		if err := m.process.AwaitReady(StartTimeout); err != nil {
			return err
		}
	}
	return nil
}

// AwaitReady waits until every member is ready by its log and by its readiness
// probe.
func (d *Deployment) AwaitReady(within time.Duration) error {
	deadline := time.Now().Add(within)
	for _, m := range d.Members {
		if err := m.process.AwaitReady(time.Until(deadline)); err != nil {
			return err
		}
	}
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for unready := d.unready(); unready != ""; unready = d.unready() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not every process was ready within %s: %s", within, unready)
		}
		<-ticks.C
	}
	return nil
}

// unready returns the answer of the first member that is not ready.
func (d *Deployment) unready() string {
	for _, m := range d.Members {
		if answer, ok := m.probe("/readyz"); !ok {
			return m.Name + " " + answer
		}
	}
	return ""
}

// probe sends a request to the member's admin listener.
func (m *Member) probe(path string) (answer string, ok bool) {
	return program.Probe("http://" + m.Serve.Admin + path)
}

// Terminate stops every member cleanly, ingest first.
func (d *Deployment) Terminate() {
	for i := len(d.Members) - 1; i >= 0; i-- {
		if err := d.Members[i].process.Terminate(stopTimeout); err != nil {
			d.Complain("%v", err)
		}
	}
}

// usage measures the member, right after a garbage collection.
func (m *Member) usage() (history.Usage, error) {
	u := history.Usage{Process: m.Name}
	if answer, ok := m.probe("/debug/pprof/heap?gc=1"); !ok {
		return u, fmt.Errorf("run the garbage collector of %s: %s", m.Name, answer)
	}
	answer, ok := m.probe("/metrics")
	if !ok {
		return u, fmt.Errorf("read the metrics of %s: %s", m.Name, answer)
	}
	u.Goroutines, u.Heap = int(metric(answer, "go_goroutines")), int64(metric(answer, "go_memstats_heap_alloc_bytes"))
	return u, nil
}

// metric returns the value of a metric without labels, or 0.
func metric(text, name string) (value float64) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			_, _ = fmt.Sscan(rest, &value) // the value of a metric is a number
		}
	}
	return value
}

// Usage measures every member.
func (d *Deployment) Usage() ([]history.Usage, error) {
	var all []history.Usage
	for _, m := range d.Members {
		u, err := m.usage()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// Baseline returns the maximum usage of every member in several measurements.
func (d *Deployment) Baseline() ([]history.Usage, error) {
	const measurements, period = 5, 100 * time.Millisecond
	most, err := d.Usage()
	for range measurements - 1 {
		if err != nil {
			return nil, err
		}
		time.Sleep(period)
		var now []history.Usage
		if now, err = d.Usage(); err == nil {
			for i := range most { // both are in the order of the members
				most[i].Goroutines, most[i].Heap = max(most[i].Goroutines, now[i].Goroutines), max(most[i].Heap, now[i].Heap)
			}
		}
	}
	return most, err
}

// IdleUsage returns the usage of every member once it no longer falls.
func (d *Deployment) IdleUsage() ([]history.Usage, error) {
	const measurements, period = 10, 500 * time.Millisecond
	least, err := d.Usage()
	for range measurements {
		if err != nil {
			return nil, err
		}
		time.Sleep(period)
		var now []history.Usage
		if now, err = d.Usage(); err == nil && goroutines(now) >= goroutines(least) {
			return least, nil
		}
		least = now
	}
	return least, err
}

func goroutines(all []history.Usage) (sum int) {
	for _, u := range all {
		sum += u.Goroutines
	}
	return sum
}
