package deployment

import (
	"fmt"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/servers"
)

// Process is a process that can be struck: a member, PostgreSQL, or a node of
// Kafka.
type Process interface {
	// Start starts the process again, at its address and with its data.
	Start() error
	// Kill sends SIGKILL, and Stop asks for a clean stop. Both wait for the end.
	Kill() error
	Stop() error
	// Freeze sends SIGSTOP, and Thaw SIGCONT.
	Freeze() error
	Thaw() error
}

// Targets returns every process by its name.
func (d *Deployment) Targets() map[string]Process {
	all := make(map[string]Process)
	for _, m := range d.Members {
		all[m.Name] = member{m, d}
	}
	if d.Store == history.Postgres {
		all["postgres"] = d.servers.Postgres
	}
	if d.Broker == history.Apache {
		for _, n := range d.servers.Kafka.Nodes() {
			all[nodeName(n)] = n
		}
	}
	return all
}

func nodeName(n *servers.Node) string { return fmt.Sprint("kafka-", n.ID()) }

// member disables the links to a member that is gone, so that connections to it
// are refused.
type member struct {
	*Member
	deployment *Deployment
}

func (m member) Start() error  { return m.deployment.start(m.Member) }
func (m member) Freeze() error { return m.process.Freeze() }
func (m member) Thaw() error   { return m.process.Thaw() }

func (m member) Kill() error {
	defer m.disableLinks()
	return m.process.Kill()
}

func (m member) Stop() error {
	defer m.disableLinks()
	return m.process.Terminate(stopTimeout)
}

func (m member) disableLinks() {
	for _, l := range m.deployment.linksTo(m.Member) {
		l.disable()
	}
}
