package door

import (
	"net"
	"net/netip"
	"sync"
)

// perAddress is a listener that closes the connections of an address that has too many
// open ones.
type perAddress struct {
	net.Listener
	most    int
	exempt  func(netip.Addr) bool
	refused func(remote netip.Addr)

	mu   sync.Mutex
	open map[netip.Prefix]int
}

func newPerAddress(listener net.Listener, most int, exempt func(netip.Addr) bool, refused func(netip.Addr)) *perAddress {
	return &perAddress{Listener: listener, most: most, exempt: exempt, refused: refused, open: map[netip.Prefix]int{}}
}

// Accept returns the next connection of an address that may have one more.
func (l *perAddress) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, ok := parseAddr(conn.RemoteAddr().String())
		if !ok || l.exempt(remote) {
			return conn, nil
		}
		client := clientOf(remote)
		if l.enter(client) {
			return &counted{Conn: conn, listener: l, client: client}, nil
		}
		l.refused(remote)
		_ = conn.Close() // it is given up in any case
	}
}

// clientOf returns the network that one client has to itself: an address of IPv4, and
// the 64 bits of IPv6 within which a machine chooses its addresses.
func clientOf(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails only for a wrong number of bits
	return prefix
}

func (l *perAddress) enter(client netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client] >= l.most {
		return false
	}
	l.open[client]++
	return true
}

func (l *perAddress) leave(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client]--; l.open[client] == 0 {
		delete(l.open, client)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	listener *perAddress
	client   netip.Prefix
	closed   sync.Once
}

// Close closes the connection, which gives its place to another one.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() { c.listener.leave(c.client) })
	return err
}
