package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/bench/costtest"
	"github.com/payrelay/payrelay/modules/payments"
)

// inProcess is a RoundTripper that calls a handler and keeps the bodies.
type inProcess struct {
	handler        http.Handler
	major          int
	sent, received bytes.Buffer
}

func (p *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	p.sent.Reset()
	p.received.Reset()
	req.Body = io.NopCloser(io.TeeReader(req.Body, &p.sent))
	req.ProtoMajor, req.ProtoMinor = p.major, 0
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, req)
	p.received.Write(w.Body.Bytes())
	return w.Result(), nil
}

// sizeOf returns the size of a message without the spaces that Protobuf's JSON has in
// some builds.
func sizeOf(message []byte) int {
	var compact bytes.Buffer
	if json.Compact(&compact, message) == nil {
		return compact.Len()
	}
	return len(message)
}

// verdicts is a far side that allocates nothing.
type verdicts struct {
	payrelayv1connect.UnimplementedRelayServiceHandler
	one  *payrelayv1.ApplyUpdateResponse
	many *payrelayv1.ApplyUpdatesResponse
}

func (v *verdicts) ApplyUpdate(context.Context, *payrelayv1.ApplyUpdateRequest) (*payrelayv1.ApplyUpdateResponse, error) {
	return v.one, nil
}

func (v *verdicts) ApplyUpdates(context.Context, *payrelayv1.ApplyUpdatesRequest) (*payrelayv1.ApplyUpdatesResponse, error) {
	return v.many, nil
}

// webhooks returns updates as the ingest role makes them of webhooks of 400 bytes.
func webhooks(count int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, count)
	for i := range updates {
		u := orderUpdate(fmt.Sprintf("evt-%016d", i))
		u.UserId, u.ReceivedAt, u.RawBody, u.BodySha256 = "user-1", u.GetOccurredAt(), make([]byte, 400), make([]byte, 32)
		u.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}
		updates[i] = u
	}
	return updates
}

// TestCosts measures what a call sends, and what it allocates on both sides, HTTP
// itself excluded.
func TestCosts(t *testing.T) {
	for _, mode := range rpcModes {
		for size, unary := range map[int]bool{1: true, 64: false} {
			costOfCall(t, mode, webhooks(size), unary)
		}
	}
}

func costOfCall(t *testing.T, mode payments.Mode, updates []*payrelayv1.Update, unary bool) {
	t.Helper()
	far := &verdicts{one: &payrelayv1.ApplyUpdateResponse{Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}}, many: new(payrelayv1.ApplyUpdatesResponse)}
	for range updates {
		far.many.Outcomes = append(far.many.Outcomes, far.one.GetOutcome())
	}
	client := connectTo(t, mode, RPCConfig{URL: "http://127.0.0.1:1", Unary: unary})
	wire := &inProcess{major: 1}
	if mode == payments.GRPC {
		wire.major = 2
	}
	_, wire.handler = payrelayv1connect.NewRelayServiceHandler(far)
	client.http.Transport = wire
	call := func() {
		if _, err := client.Apply(t.Context(), updates); err != nil {
			t.Fatal(err)
		}
	}
	call()
	name := fmt.Sprintf("%s, a call with %d", mode, len(updates))
	costtest.Size(t, name+", sent", sizeOf(wire.sent.Bytes()))
	costtest.Size(t, name+", answered", sizeOf(wire.received.Bytes()))
	costtest.Allocations(t, name, call)
}
