package chaos

import (
	"fmt"
	"path/filepath"
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
	o := program.Options{Name: m.name, Binary: c.binary, Args: m.args, Dir: c.dir, Line: func(line string) {
		if err := program.CheckLog(line, cardNumber); err != nil {
			c.complain("%s logged %v", m.name, err)
		}
	}}
	p, err := program.Start(o, filepath.Join(c.dir, m.name+".out"), filepath.Join(c.dir, m.name+".log"))
	if err != nil {
		return err
	}
	m.process = p
	return nil
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

// probe asks the member's admin listener.
func (m *member) probe(path string) (answer string, ok bool) {
	return program.Probe("http://" + m.admin + path)
}
