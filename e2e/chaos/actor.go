package chaos

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
