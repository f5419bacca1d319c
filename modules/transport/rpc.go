package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// maxCallBytes is what one call carries, in binary Protobuf: as JSON it still
	// fits the 1 MiB that the api role reads.
	maxCallBytes = payments.MaxUpdateBytes
	// maxCallUpdates keeps the answer small too: an outcome as JSON has about 90
	// bytes, an update can have fewer.
	maxCallUpdates = 4096
	// maxAnswerBytes is what this side reads.
	maxAnswerBytes = 1 << 20
)

// RPC is the client of the modes http, protobuf and grpc. It answers with the
// api role's verdicts, after the commit. Its methods may be called
// concurrently.
type RPC struct {
	client payrelayv1connect.RelayServiceClient
	http   *http.Client
	unary  bool
}

// wire is what makes the RPC modes differ.
type wire struct {
	http    *http.Transport
	options []connect.ClientOption
}

// NewRPC is a client of that mode. It connects when it is first used, so the
// api role may start later.
func NewRPC(mode payments.Mode, cfg RPCConfig) (*RPC, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var w wire
	switch mode {
	case payments.HTTP:
		w = httpWire()
	case payments.Protobuf:
		w = protobufWire()
	case payments.GRPC:
		w = grpcWire()
	default:
		return nil, fmt.Errorf("mode %q makes no calls: it is none of http, protobuf and grpc", mode)
	}
	if cfg.HTTP2 {
		w.http = http2()
	}
	return newRPC(w, cfg), nil
}

func newRPC(w wire, cfg RPCConfig) *RPC {
	client := &http.Client{
		Transport: w.http,
		// A redirect would hand the token to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	options := append(w.options,
		connect.WithReadMaxBytes(maxAnswerBytes),
		// Outcomes are too small to gain from compression.
		connect.WithAcceptCompression("gzip", nil, nil),
	)
	if cfg.Token != "" {
		options = append(options, connect.WithInterceptors(bearer(cfg.Token)))
	}
	return &RPC{
		client: payrelayv1connect.NewRelayServiceClient(client, cfg.URL, options...),
		http:   client,
		unary:  cfg.Unary,
	}
}

func bearer(token string) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}
}

// Apply relays the updates in their order. A batch beyond the size of one call
// becomes several, one after the other.
func (r *RPC) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	calls, err := r.split(updates)
	if err != nil {
		return nil, err
	}
	outcomes := make([]*payrelayv1.Outcome, 0, len(updates))
	for _, call := range calls {
		answered, err := r.call(ctx, call)
		if err != nil {
			return nil, fmt.Errorf("relay %d updates to the api role: %w", len(call), err)
		}
		if len(answered) != len(call) {
			return nil, fmt.Errorf("relay %d updates to the api role: it answered %d outcomes", len(call), len(answered))
		}
		outcomes = append(outcomes, answered...)
	}
	return outcomes, nil
}

// Close releases the connections that are not in use.
func (r *RPC) Close() error {
	r.http.CloseIdleConnections()
	return nil
}

func (r *RPC) call(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	if !r.unary {
		answer, err := r.client.ApplyUpdates(ctx, &payrelayv1.ApplyUpdatesRequest{Updates: updates})
		return answer.GetOutcomes(), err
	}
	answer, err := r.client.ApplyUpdate(ctx, &payrelayv1.ApplyUpdateRequest{Update: updates[0]})
	if err != nil || answer.GetOutcome() == nil {
		return nil, err
	}
	return []*payrelayv1.Outcome{answer.GetOutcome()}, nil
}

// split cuts a batch into calls: single updates in the unary shape, as much as
// a call may carry in the batched one.
func (r *RPC) split(updates []*payrelayv1.Update) ([][]*payrelayv1.Update, error) {
	most := maxCallUpdates
	if r.unary {
		most = 1
	}
	var calls [][]*payrelayv1.Update
	start, filled := 0, 0
	for i, update := range updates {
		// What the update costs inside the batch: a tag and its length come on top.
		size := proto.Size(update)
		if size > payments.MaxUpdateBytes {
			return nil, tooLarge(i, size)
		}
		if i > start && (filled+size > maxCallBytes || i-start == most) {
			calls = append(calls, updates[start:i])
			start, filled = i, 0
		}
		filled += size
	}
	if start < len(updates) {
		calls = append(calls, updates[start:])
	}
	return calls, nil
}

// httpWire is JSON over HTTP/1.1: everything on it can be read with curl and by
// any proxy.
func httpWire() wire {
	return wire{http: http1(), options: []connect.ClientOption{connect.WithProtoJSON()}}
}

// protobufWire is binary Protobuf over HTTP/1.1, the cheapest of the RPC modes:
// the library's own defaults.
func protobufWire() wire { return wire{http: http1()} }

// grpcWire is gRPC, which needs HTTP/2.
func grpcWire() wire {
	return wire{http: http2(), options: []connect.ClientOption{connect.WithGRPC()}}
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
