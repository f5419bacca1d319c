package deployment

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Traffic is what went over the connections to a server since they were opened,
// in bytes of TCP payload.
type Traffic struct{ To, From int64 }

// socket is a connection as the kernel of this machine sees it.
type socket struct {
	// cookie is the kernel's name for it.
	cookie              [2]uint32
	localPort, peerPort int
	listens             bool
	inode               uint32
	received, sent      int64
}

// Connections is the traffic of each connection so far, by server.
type Connections map[string]map[[2]uint32]Traffic

// Connections are those to each server, as the kernel counts; nil where it
// cannot be asked.
func (d *Deployment) Connections() Connections {
	ports := make(map[int]string)
	for name, address := range d.servers {
		ports[portOf(address)] = name
	}
	all, err := sockets()
	if err != nil {
		return nil
	}
	found := make(Connections)
	for _, s := range all {
		name, known := ports[s.peerPort] // the client's end, which is on this machine in any case
		if !known || s.listens {
			continue
		}
		if found[name] == nil {
			found[name] = make(map[[2]uint32]Traffic)
		}
		found[name][s.cookie] = Traffic{To: s.sent, From: s.received}
	}
	return found
}

// Since is the traffic between two snapshots. What a connection carried that was
// closed in between is missing; payrelay keeps its connections.
func (c Connections) Since(before Connections) map[string]Traffic {
	total := make(map[string]Traffic)
	for name, connections := range c {
		var sum Traffic
		for cookie, now := range connections {
			then := before[name][cookie]
			sum.To += now.To - then.To
			sum.From += now.From - then.From
		}
		total[name] = sum
	}
	return total
}

// lookAround finds the servers that others started: the database and the
// brokers, if they are on this machine.
func (d *Deployment) lookAround() {
	if d.spec.DatabaseURL != "" {
		d.servers["database"] = addressOf(d.spec.DatabaseURL)
		d.visit("database", d.servers["database"])
	}
	if d.spec.Mode == "kafka" && d.spec.Kafka.Brokers != "" {
		for i, address := range strings.Split(d.spec.Kafka.Brokers, ",") {
			name := "broker"
			if i > 0 { // any of them may lead a partition
				name = fmt.Sprintf("broker-%d", i+1)
			}
			d.servers[name] = strings.TrimSpace(address)
			d.visit(name, d.servers[name])
		}
	}
}

// visit counts a server among the processes, if it is on this machine.
func (d *Deployment) visit(name, address string) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return
	}
	if pid := listener(portOf(address)); pid > 0 {
		d.neighbours = append(d.neighbours, neighbour{name, pid})
	}
}

// addressOf is host:port of a database's URL.
func addressOf(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return ""
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "5432")
	}
	return u.Host
}

// portOf is the port of an address or a URL; 0 if it has none.
func portOf(address string) int {
	if _, rest, isURL := strings.Cut(address, "://"); isURL {
		address = rest
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return 0
	}
	return number
}
