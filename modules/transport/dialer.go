package transport

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dialer opens connections that end with ctx, whatever waits on them.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
	// near refuses other machines. Only here is it known which they are: brokers
	// that are asked on this machine tell where the others are.
	near bool
}

// Dial is what the library calls.
func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout, Control: d.check}).DialContext(d.ctx, network, addr)
	if err == nil {
		context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// check is called with each address that a name stands for, before anything is
// sent there.
func (d dialer) check(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || d.near && !isLoopback(host) {
		return fmt.Errorf("%w: %s", errShowsPassword, address)
	}
	return nil
}
