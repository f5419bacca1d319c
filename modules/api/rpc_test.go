package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func h2c() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: 10 * time.Second}
}

// clients returns a client for every protocol over every HTTP version that it supports.
func clients(url string) map[string]payrelayv1connect.RelayServiceClient {
	h1 := &http.Client{Timeout: 10 * time.Second}
	build := payrelayv1connect.NewRelayServiceClient
	return map[string]payrelayv1connect.RelayServiceClient{
		"connect json, http/1.1": build(h1, url, connect.WithProtoJSON()),
		"connect, http/1.1":      build(h1, url),
		"grpc-web, http/1.1":     build(h1, url, connect.WithGRPCWeb()),
		"connect json, http/2":   build(h2c(), url, connect.WithProtoJSON()),
		"connect, http/2":        build(h2c(), url),
		"grpc-web, http/2":       build(h2c(), url, connect.WithGRPCWeb()),
		"grpc, http/2":           build(h2c(), url, connect.WithGRPC()),
	}
}

func TestEveryProtocolReachesTheSameHandler(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	for protocol, client := range clients(url) {
		one, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
		if err != nil || one.GetOutcome().GetVerdict() != payrelayv1.Verdict_VERDICT_APPLIED {
			t.Errorf("%s: ApplyUpdate() = %v, %v, want APPLIED", protocol, one, err)
		}
		two, err := client.ApplyUpdates(t.Context(), &payrelayv1.ApplyUpdatesRequest{Updates: []*payrelayv1.Update{orderUpdate("e1"), disputeUpdate("e2")}})
		if err != nil || len(two.GetOutcomes()) != 2 {
			t.Errorf("%s: ApplyUpdates() = %v, %v, want 2 outcomes", protocol, two, err)
		}
		if _, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: ApplyUpdate() without an update = %v, want invalid_argument", protocol, err)
		}
	}
}

const (
	procedure = payrelayv1connect.RelayServiceApplyUpdateProcedure
	protoType = "application/proto"
)

// field returns a length-delimited field with any content.
func field(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func TestMalformedMessageIsAnInvalidArgument(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	for name, body := range map[string][]byte{
		"random bytes":  {0xff, 0xfe, 0x00, 0x13, 0x37},
		"cut off":       field(1, []byte("abc"))[:3],
		"invalid UTF-8": field(1, field(2, []byte("\xff\xfe"))), // provider
		"empty":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			send(t, http.MethodPost, url+procedure, body, "Content-Type", protoType).
				wantRPCError(t, http.StatusBadRequest, "invalid_argument")
		})
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.calls())
	}
}

func TestFieldsOfANewerReleaseAreIgnored(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	update, err := proto.Marshal(orderUpdate("e1"))
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, http.MethodPost, url+procedure, field(1, append(update, field(1000, []byte("new"))...)), "Content-Type", protoType)
	if got.status != http.StatusOK || next.calls() != 1 {
		t.Errorf("answer = %d %s after %d calls of Apply, want 200 after 1", got.status, got.body, next.calls())
	}
}

func TestOversizedMessageIsRefused(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	update := orderUpdate("e1")
	update.RawBody = make([]byte, maxMessageBytes)
	for protocol, client := range clients(url) {
		_, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: update})
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s: error = %v, want resource_exhausted", protocol, err)
		}
		if _, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e2")}); err != nil {
			t.Errorf("%s: the next call = %v, want nil", protocol, err)
		}
	}
	// Connect reads on to report the size, up to the limit of a request.
	got := send(t, http.MethodPost, url+procedure, make([]byte, maxRequestBytes+1), "Content-Type", protoType)
	got.wantRPCError(t, http.StatusTooManyRequests, "resource_exhausted")
	if strings.Contains(got.body, strconv.Itoa(maxRequestBytes+1)) {
		t.Errorf("answer = %s, want it without the whole size", got.body)
	}
}

func TestCompressedCallIsRefused(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, "")
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, http.MethodPost, url+procedure, bomb.Bytes(), "Content-Type", protoType, "Content-Encoding", "gzip").
		wantRPCError(t, http.StatusNotImplemented, "unimplemented")
	for protocol, client := range map[string]payrelayv1connect.RelayServiceClient{
		"connect": payrelayv1connect.NewRelayServiceClient(http.DefaultClient, url, connect.WithSendGzip()),
		"grpc":    payrelayv1connect.NewRelayServiceClient(h2c(), url, connect.WithSendGzip(), connect.WithGRPC()),
	} {
		if _, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")}); connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("%s: error = %v, want unimplemented", protocol, err)
		}
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times for compressed calls, want 0", next.calls())
	}
}

func TestWrongRPCRequests(t *testing.T) {
	url := startInternal(t, &recorder{}, "")
	tests := []struct {
		name, method, path, mediaType string
		status                        int
	}{
		{"unknown codec", http.MethodPost, procedure, "application/grpc+xyz", http.StatusUnsupportedMediaType},
		{"not an RPC", http.MethodPost, procedure, "text/html", http.StatusUnsupportedMediaType},
		{"unknown procedure", http.MethodPost, "/payrelay.v1.RelayService/Refund", protoType, http.StatusNotFound},
		{"unknown service", http.MethodPost, "/payrelay.v1.Nothing/ApplyUpdate", protoType, http.StatusNotFound},
		{"GET on a write", http.MethodGet, procedure, "", http.StatusMethodNotAllowed},
		{"PUT on a write", http.MethodPut, procedure, protoType, http.StatusMethodNotAllowed},
	}
	for _, test := range tests {
		got := send(t, test.method, url+test.path, []byte("{}"), "Content-Type", test.mediaType)
		if got.status != test.status {
			t.Errorf("%s = %d %s, want %d", test.name, got.status, got.body, test.status)
		}
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	url := startInternal(t, &recorder{}, "")
	client := grpcreflect.NewClient(h2c(), url, connect.WithGRPC())
	stream := client.NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 2 || names[0] != "grpc.health.v1.Health" && names[1] != "grpc.health.v1.Health" {
		t.Errorf("services = %v, want RelayService and Health", names)
	}
	files, err := stream.FileContainingSymbol(payrelayv1connect.RelayServiceName)
	if err != nil || len(files) == 0 {
		t.Errorf("FileContainingSymbol() = %d files, %v, want the contract", len(files), err)
	}
}

func TestRunAnswersCallsInFlight(t *testing.T) {
	for protocol := range clients("") {
		t.Run(protocol, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			next := &recorder{answer: func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
				close(entered)
				<-leave
				return applied(updates), nil
			}}
			in, err := NewInternal(Config{}, listen(t), NewRelay(next, quiet()), quiet())
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, in)
			called := make(chan error, 1)
			go func() {
				client := clients("http://" + in.Addr())[protocol]
				_, err := client.ApplyUpdate(context.Background(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
				called <- err
			}()
			<-entered
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			waitRefused(t, in.Addr())
			close(leave)
			if err := <-called; err != nil {
				t.Errorf("the call in flight = %v, want nil", err)
			}
			if err := <-stopped; err != nil {
				t.Errorf("Run() = %v, want nil", err)
			}
		})
	}
}

// waitRefused waits until the listener at the address is closed.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("the listener is still open after 5s")
}
