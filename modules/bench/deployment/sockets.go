package deployment

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/payrelay/payrelay/modules/payments"
)

// Traffic is the TCP payload sent to and received from a server, in bytes.
type Traffic struct{ To, From int64 }

// socket is a TCP socket as the kernel describes it.
type socket struct {
	cookie              [2]uint32 // identifies the socket for its lifetime
	localPort, peerPort int
	listens             bool
	inode               uint32
	received, sent      int64
}

// Connections is the traffic of each open connection so far, by the name of the
// server and the socket's cookie.
type Connections map[string]map[[2]uint32]Traffic

// Connections returns the traffic of all connections to the deployment's servers;
// nil if the kernel cannot be asked.
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
		name, known := ports[s.peerPort] // counts the client's end, which is always on this machine
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

// Since returns the traffic between two snapshots, by server. It misses connections
// that were closed in between; payrelay keeps its connections open.
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

// localServer is a server on this machine that the deployment uses and did not
// start. pid is its first process.
type localServer struct {
	name string
	pid  int
}

// addServers registers the existing database and brokers that the deployment uses.
func (d *Deployment) addServers() {
	if d.spec.DatabaseURL != "" {
		d.addServer("database", addressOf(d.spec.DatabaseURL))
	}
	if d.spec.Mode == payments.Kafka && d.spec.Kafka.Brokers != "" {
		for i, address := range strings.Split(d.spec.Kafka.Brokers, ",") {
			name := "broker"
			if i > 0 {
				name = fmt.Sprintf("broker-%d", i+1)
			}
			d.addServer(name, strings.TrimSpace(address))
		}
	}
}

// addServer counts the traffic to a server and, if it is on this machine, its
// processor time.
func (d *Deployment) addServer(name, address string) {
	d.servers[name] = address
	d.addLocalServer(name, address)
}

func (d *Deployment) addLocalServer(name, address string) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return
	}
	if pid := listener(portOf(address)); pid > 0 {
		d.localServers = append(d.localServers, localServer{name, pid})
	}
}

// listener returns the process that listens on a port; 0 if it cannot be found.
func listener(port int) int {
	all, _ := sockets() // without any there is no listener
	for _, s := range all {
		if s.listens && s.localPort == port {
			if pid := holder(fmt.Sprintf("socket:[%d]", s.inode)); pid > 0 {
				return pid
			}
		}
	}
	return 0
}

// addressOf returns host:port of a database's URL; empty if it is not one.
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

// portOf returns the port of an address or a URL; 0 if it has none.
func portOf(address string) int {
	if _, rest, isURL := strings.Cut(address, "://"); isURL {
		address = rest
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	number, _ := net.LookupPort("tcp", port) // 0 with an error
	return number
}
