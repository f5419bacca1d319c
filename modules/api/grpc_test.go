package api

import (
	"context"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// dial connects with grpc-go, which only tests use.
func dial(t *testing.T, url string) (*grpc.ClientConn, context.Context) {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return conn, ctx
}

func TestPlainGRPCClient(t *testing.T) {
	next := &recorder{}
	conn, ctx := dial(t, startInternal(t, next, testToken))
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+testToken)

	var one payrelayv1.ApplyUpdateResponse
	err := conn.Invoke(ctx, payrelayv1connect.RelayServiceApplyUpdateProcedure, &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")}, &one)
	if err != nil || one.GetOutcome().GetVerdict() != payrelayv1.Verdict_VERDICT_APPLIED {
		t.Errorf("ApplyUpdate() = %v, %v, want APPLIED", one.GetOutcome(), err)
	}
	var many payrelayv1.ApplyUpdatesResponse
	err = conn.Invoke(ctx, payrelayv1connect.RelayServiceApplyUpdatesProcedure,
		&payrelayv1.ApplyUpdatesRequest{Updates: []*payrelayv1.Update{orderUpdate("e1"), disputeUpdate("e2")}}, &many)
	if err != nil || len(many.GetOutcomes()) != 2 {
		t.Errorf("ApplyUpdates() = %v, %v, want 2 outcomes", many.GetOutcomes(), err)
	}
	if next.calls() != 2 {
		t.Errorf("Apply was called %d times, want 2", next.calls())
	}
}

func TestPlainGRPCClientGetsGRPCErrors(t *testing.T) {
	next := &recorder{}
	conn, anonymous := dial(t, startInternal(t, next, testToken))
	ctx := metadata.AppendToOutgoingContext(anonymous, "authorization", "Bearer "+testToken)
	large := orderUpdate("e1")
	large.RawBody = make([]byte, maxMessageBytes)
	tests := []struct {
		name    string
		ctx     context.Context
		method  string
		update  *payrelayv1.Update
		want    codes.Code
		options []grpc.CallOption
	}{
		{"no token", anonymous, procedure, orderUpdate("e1"), codes.Unauthenticated, nil},
		{"no update", ctx, procedure, nil, codes.InvalidArgument, nil},
		{"too large", ctx, procedure, large, codes.ResourceExhausted, nil},
		{"compressed", ctx, procedure, orderUpdate("e1"), codes.Unimplemented, []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
		{"unknown procedure", ctx, "/payrelay.v1.RelayService/Refund", orderUpdate("e1"), codes.Unimplemented, nil},
		{"unknown service", ctx, "/payrelay.v1.Nothing/Refund", orderUpdate("e1"), codes.Unimplemented, nil},
	}
	for _, test := range tests {
		err := conn.Invoke(test.ctx, test.method, &payrelayv1.ApplyUpdateRequest{Update: test.update}, new(payrelayv1.ApplyUpdateResponse), test.options...)
		if status.Code(err) != test.want {
			t.Errorf("%s: error = %v, want %v", test.name, err, test.want)
		}
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.calls())
	}
}

func TestPlainGRPCHealth(t *testing.T) {
	conn, ctx := dial(t, startInternal(t, &recorder{}, testToken))
	for _, service := range []string{"", payrelayv1connect.RelayServiceName} {
		answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
		if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("Check(%q) = %v, %v, want SERVING", service, answer, err)
		}
	}
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "nothing"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("Check of an unknown service = %v, want NotFound", err)
	}
}
