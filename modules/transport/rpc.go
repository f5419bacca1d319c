package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// maxCallBytes is the most that one call carries, in bytes of binary Protobuf. As
	// JSON that still fits the 1 MiB that the api role reads.
	maxCallBytes = payments.MaxUpdateBytes
	// maxCallUpdates is the most updates of one call. It bounds the answer: an outcome
	// takes about 90 bytes as JSON, and an update can be smaller.
	maxCallUpdates = 4096
	// maxAnswerBytes is the largest answer that this side reads.
	maxAnswerBytes = 1 << 20
)

// RPC is the client of the modes http, protobuf and grpc. It returns the api role's
// verdicts, after the commit. Its methods may be called concurrently.
type RPC struct {
	client payrelayv1connect.RelayServiceClient
	http   *http.Client
	pings  *http.Client
	health string // URL
	unary  bool
}

// NewRPC returns the client of that mode. It connects at the first call, so that the
// api role may start later.
func NewRPC(mode payments.Mode, cfg RPCConfig) (*RPC, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	options := []connect.ClientOption{
		connect.WithReadMaxBytes(maxAnswerBytes),
		// Outcomes are too small to gain from compression.
		connect.WithAcceptCompression("gzip", nil, nil),
		connect.WithInterceptors(cfg.Interceptors...),
	}
	switch mode {
	case payments.HTTP: // JSON, which curl and any proxy can read
		options = append(options, connect.WithProtoJSON())
	case payments.Protobuf: // binary, the cheapest of the three and Connect's default
	case payments.GRPC:
		options = append(options, connect.WithGRPC())
	default:
		return nil, fmt.Errorf("mode %q does not call the api role: choose http, protobuf or grpc", mode)
	}
	client, err := newHTTPClient(mode, cfg)
	if err != nil {
		return nil, err
	}
	pings, err := newHTTPClient(mode, cfg) // connections of their own, which no call occupies
	if err != nil {
		return nil, err
	}
	if cfg.Token != "" {
		options = append(options, connect.WithInterceptors(bearer(cfg.Token)))
	}
	return &RPC{
		client: payrelayv1connect.NewRelayServiceClient(client, cfg.URL, options...),
		http:   client,
		pings:  pings,
		health: strings.TrimSuffix(cfg.URL, "/") + "/grpc.health.v1.Health/Check",
		unary:  cfg.Unary,
	}, nil
}

// newHTTPClient returns a client with the version of HTTP of a mode and the certificates.
func newHTTPClient(mode payments.Mode, cfg RPCConfig) (*http.Client, error) {
	wire, protocol := http1(), "http/1.1"
	if mode == payments.GRPC || cfg.HTTP2 {
		wire, protocol = http2(), "h2"
	}
	if cfg.CAFile != "" || cfg.CertFile != "" {
		files, err := newTLSFiles(cfg, protocol)
		if err != nil {
			return nil, err
		}
		wire.DialTLSContext = files.dial
	}
	return &http.Client{
		Transport: wire,
		// A redirect would send the token to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Ping returns an error if the api role does not answer a health check, which needs no
// token. An error of a proxy in front of it is not an answer.
func (r *RPC) Ping(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.health, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json") // the protocol of Connect
	answer, err := r.pings.Do(request)
	if err != nil {
		return fmt.Errorf("ask the api role for its health: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10)) // so that the connection is reused
	switch answer.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("ask the api role for its health: %s", answer.Status)
	}
	return nil
}

func bearer(token string) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}
}

// Apply relays the updates in their order. A batch that is too large for one call
// becomes several, one after another.
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
			return nil, fmt.Errorf("relay %d updates to the api role: it answered with %d outcomes", len(call), len(answered))
		}
		outcomes = append(outcomes, answered...)
	}
	return outcomes, nil
}

// Close closes the idle connections.
func (r *RPC) Close() error {
	r.http.CloseIdleConnections()
	r.pings.CloseIdleConnections()
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

// split cuts a batch into calls: of one update each if the client is unary, and else
// as large as a call may be.
func (r *RPC) split(updates []*payrelayv1.Update) ([][]*payrelayv1.Update, error) {
	most := maxCallUpdates
	if r.unary {
		most = 1
	}
	var calls [][]*payrelayv1.Update
	start, filled := 0, 0
	for i, update := range updates {
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

// connections is how many HTTP/1.1 connections one process keeps to the api role.
// Further calls wait for a free one: opening a connection for one call costs more.
const connections = 64

// http1 returns HTTP/1.1 with connections that are kept alive. Unary calls cost less
// there than over HTTP/2, where they share the lock of one connection.
func http1() *http.Transport {
	t := newHTTPTransport()
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost = connections
	t.MaxConnsPerHost = connections
	return t
}

// http2 returns HTTP/2, without TLS (prior knowledge) for an http URL and with TLS
// for an https one. All calls share one connection, and pings detect when it is dead.
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

const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 3 * time.Second
)

func newDialer() *net.Dialer { return &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second} }

// newHTTPTransport bounds the time of each step of a call. It uses no proxy: the
// token is for the api role only.
func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Protocols:             new(http.Protocols),
		DialContext:           newDialer().DialContext,
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: 5 * time.Second,  // of one attempt: the answer comes after the commit
		IdleConnTimeout:       30 * time.Second, // shorter than the 60 s after which the api role closes it
	}
}
