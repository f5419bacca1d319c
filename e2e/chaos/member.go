package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
)

// start runs a member, again with its data and at its addresses, and opens the
// links to it. It does not wait.
func (c *cluster) start(m *member) error {
	for _, l := range c.linksTo(m.name) {
		if err := l.join(); err != nil {
			return err
		}
	}
	p, err := program.Start(program.Options{
		Name: m.name, Binary: c.binary, Args: m.args, Dir: c.dir,
		Log:  filepath.Join(c.dir, m.name+".log"),
		Line: func(line string) { c.readLog(m.name, line) },
	})
	if err != nil {
		return err
	}
	m.process = p
	return nil
}

// readLog wants the log to be one: no report of the race detector, no panic, no
// library that prints on its own, no error of ours, and nothing of what belongs to
// the cardholder.
func (c *cluster) readLog(name, line string) {
	var entry struct{ Level string }
	switch {
	case json.Unmarshal([]byte(line), &entry) != nil:
		c.complain("%s wrote what is no log line: %s", name, line)
	case entry.Level == "ERROR":
		c.complain("%s logged an error: %s", name, line)
	case strings.Contains(line, cardNumber):
		c.complain("%s logged a card number: %s", name, line)
	}
}

// actor is a process that the nemesis can strike.
type actor interface {
	start() error
	kill() error
	terminate() error
	freeze() error
	thaw() error
}

// inCluster is a member that takes its links along: whoever calls one that is no
// more is refused.
type inCluster struct {
	*cluster
	*member
}

func (m inCluster) start() error  { return m.cluster.start(m.member) }
func (m inCluster) freeze() error { return m.process.Freeze() }
func (m inCluster) thaw() error   { return m.process.Thaw() }

func (m inCluster) kill() error {
	defer m.cutLinks()
	return m.process.Kill()
}

func (m inCluster) terminate() error {
	defer m.cutLinks()
	return m.process.Terminate(stopWithin)
}

func (m inCluster) cutLinks() {
	for _, l := range m.linksTo(m.member.name) {
		l.cut()
	}
}

// actors are all that there are, by name.
func (c *cluster) actors() map[string]actor {
	all := make(map[string]actor)
	for _, m := range c.members {
		all[m.name] = inCluster{c, m}
	}
	for _, o := range c.outsiders() {
		all[o.name] = o
	}
	return all
}

// awaitMembers waits until every member says in its log and by its probe that it
// is ready.
func (c *cluster) awaitMembers(within time.Duration) error {
	deadline := time.Now().Add(within)
	for _, m := range c.members {
		if err := m.process.AwaitReady(time.Until(deadline)); err != nil {
			return err
		}
	}
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !c.ready() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not everything was ready within %s: %s", within, c.unready())
		}
		<-ticks.C
	}
	return nil
}

func (c *cluster) ready() bool { return c.unready() == "" }

// unready is what the first member says that is not ready.
func (c *cluster) unready() string {
	for _, m := range c.members {
		if answer, ok := m.probe("/readyz"); !ok {
			return m.name + " " + answer
		}
	}
	return ""
}

// probes are answered at once or not at all.
var probes = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// probe asks the member's admin listener.
func (m *member) probe(path string) (answer string, ok bool) {
	resp, err := probes.Get("http://" + m.admin + path)
	if err != nil {
		return err.Error(), false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), false
	}
	return strings.TrimSpace(string(body)), resp.StatusCode == http.StatusOK
}

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
