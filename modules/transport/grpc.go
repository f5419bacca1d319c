package transport

import (
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// grpcWire is gRPC, which needs HTTP/2.
func grpcWire() wire {
	return wire{http: http2(), options: []connect.ClientOption{connect.WithGRPC()}}
}

// http2 is HTTP/2 without TLS (prior knowledge) for an http URL and with TLS for
// an https one. All calls share one connection, so pings find out when it is
// dead.
func http2() *http.Transport {
	t := newHTTPTransport()
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	t.HTTP2 = &http.HTTP2Config{
		SendPingTimeout:  15 * time.Second,
		PingTimeout:      5 * time.Second,
		WriteByteTimeout: 10 * time.Second,
	}
	return t
}
