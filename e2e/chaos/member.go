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
