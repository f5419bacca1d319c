package transport

import (
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// httpWire is JSON over HTTP/1.1: everything on it can be read with curl and by
// any proxy.
func httpWire() wire {
	return wire{http: http1(), options: []connect.ClientOption{connect.WithProtoJSON()}}
}

// connections is how many connections one process keeps to the api role over
// HTTP/1.1. Calls beyond wait for a free one, which is cheaper than to open a
// connection that cannot be kept.
const connections = 64

// http1 keeps connections alive. Unary calls cost less over them than over
// HTTP/2, which multiplexes them through one connection's lock.
func http1() *http.Transport {
	t := newHTTPTransport()
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost = connections
	t.MaxConnsPerHost = connections
	return t
}

// newHTTPTransport bounds every step of a call. There is no proxy: the api role
// is a neighbour, and its token is not for anybody in between.
func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Protocols:             new(http.Protocols),
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   3 * time.Second,
		ResponseHeaderTimeout: 5 * time.Second,  // the deadline of one attempt: the answer comes after the commit
		IdleConnTimeout:       30 * time.Second, // before the api role closes it after 60 s
	}
}
