package transport

import (
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// grpcWire is gRPC over HTTP/2, without TLS (prior knowledge) for an http URL
// and with TLS for an https one. All calls share one connection, so pings find
// out when it is dead.
func grpcWire() wire {
	t := newHTTPTransport()
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	t.HTTP2 = &http.HTTP2Config{
		SendPingTimeout:  15 * time.Second,
		PingTimeout:      5 * time.Second,
		WriteByteTimeout: 10 * time.Second,
	}
	return wire{http: t, options: []connect.ClientOption{connect.WithGRPC()}}
}
