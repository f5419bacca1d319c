package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	token       = "0123456789abcdef0123456789abcdef"
	service     = "payrelay.v1.RelayService"
	applyUpdate = "/" + service + "/ApplyUpdate"
)

// bearer is the header with the token.
var bearer = []string{"Authorization", "Bearer " + token}

func callsAPI(s setup) bool { return isSplit(s) && s.mode != payments.Kafka }

// TestInternal: the internal listener serves clients that have the token, in every
// protocol, and the ingest role.
func TestInternal(t *testing.T) {
	inEvery(t, callsAPI, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{env: []string{"INTERNAL_TOKEN=" + token}})
		for name, test := range map[string]func(*testing.T, *cluster){
			"webhook":         testWebhookWithToken,
			"wrong token":     testWrongToken,
			"grpc":            testGRPC,
			"grpc errors":     testGRPCErrors,
			"health":          testHealth,
			"reflection":      testReflection,
			"connect":         testConnect,
			"rest":            testREST,
			"bad input":       testInternalBadInput,
			"other listeners": testInternalOnly,
		} {
			t.Run(name, func(t *testing.T) { test(t, c) })
		}
	})
}

func testWebhookWithToken(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("shown", "shown", "created", 0, `"1.00"`, "USD"), "applied")
}

// testWrongToken: an ingest process with another token accepts nothing.
func testWrongToken(t *testing.T, c *cluster) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(strings.ToUpper(token)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := launch(t, "ingest with another token", nil, program.Serve{Role: "ingest", Mode: string(c.mode), Admin: servers.FreeAddr(),
		Ingest: servers.FreeAddr(), APIURL: c.url("internal"), More: []string{"--internal-token-file", file}}.Args()...)
	w := orderWebhook("not shown", "not-shown", "created", 0, `"1.00"`, "USD")
	if answer := mustPost(t, other.URL("ingest")+w.path, w.body); answer.status != http.StatusServiceUnavailable {
		t.Errorf("a webhook is answered %s, want 503", answer)
	}
	if events := c.history(t, "not-shown"); len(events) != 0 {
		t.Errorf("the webhook was recorded: %+v", events)
	}
}

// dial returns a connection of a plain gRPC client.
func dial(t *testing.T, c *cluster) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(c.url("internal"), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// deadline returns a context for one call, with the token.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), answerWithin)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", bearer[1])
}

// update returns an update that can be applied.
func update(event, order string) *payrelayv1.Update {
	return &payrelayv1.Update{
		Provider: "generic", EventId: event, OrderId: order, OccurredAt: timestamppb.New(day),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED}},
	}
}

func testGRPC(t *testing.T, c *cluster) {
	conn := dial(t, c)
	for _, want := range []payrelayv1.Verdict{payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_DUPLICATE} {
		var answer payrelayv1.ApplyUpdateResponse
		if err := conn.Invoke(deadline(t), applyUpdate, &payrelayv1.ApplyUpdateRequest{Update: update("g1", "grpc")}, &answer); err != nil {
			t.Fatal(err)
		}
		if got := answer.GetOutcome().GetVerdict(); got != want {
			t.Errorf("verdict = %v, want %v", got, want)
		}
	}
	newer := update("g2", "grpc")
	newer.SchemaVersion = 999
	batch := &payrelayv1.ApplyUpdatesRequest{Updates: []*payrelayv1.Update{update("g1", "grpc"), newer, update("g3", "grpc")}}
	var answer payrelayv1.ApplyUpdatesResponse
	if err := conn.Invoke(deadline(t), applyUpdate+"s", batch, &answer); err != nil {
		t.Fatal(err)
	}
	want := &payrelayv1.ApplyUpdatesResponse{Outcomes: []*payrelayv1.Outcome{
		{Verdict: payrelayv1.Verdict_VERDICT_DUPLICATE},
		{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA},
		{Verdict: payrelayv1.Verdict_VERDICT_APPLIED},
	}}
	if !proto.Equal(&answer, want) {
		t.Errorf("ApplyUpdates() = %v, want %v", &answer, want)
	}
	c.awaitHistory(t, "/orders/events", "grpc", "g1 created applied", "g3 created applied")
}

func testGRPCErrors(t *testing.T, c *cluster) {
	conn := dial(t, c)
	changed := update("g4", "grpc-errors")
	changed.RawBody, changed.BodySha256 = []byte("body"), make([]byte, sha256.Size)
	withToken, without := deadline(t), metadata.NewOutgoingContext(deadline(t), nil)
	for name, call := range map[string]struct {
		ctx    context.Context
		method string
		update *payrelayv1.Update
		want   codes.Code
	}{
		"without token":     {without, applyUpdate, update("g4", "grpc-errors"), codes.Unauthenticated},
		"no update":         {withToken, applyUpdate, nil, codes.InvalidArgument},
		"no order id":       {withToken, applyUpdate, update("g4", ""), codes.InvalidArgument},
		"changed body":      {withToken, applyUpdate, changed, codes.InvalidArgument},
		"unknown procedure": {withToken, "/" + service + "/Forget", update("g4", "grpc-errors"), codes.Unimplemented},
	} {
		err := conn.Invoke(call.ctx, call.method, &payrelayv1.ApplyUpdateRequest{Update: call.update}, &payrelayv1.ApplyUpdateResponse{})
		if status.Code(err) != call.want {
			t.Errorf("%s: got %v, want %v", name, err, call.want)
		}
	}
	if events := c.history(t, "grpc-errors"); len(events) != 0 {
		t.Errorf("recorded events = %+v, want none", events)
	}
}

// testHealth checks the health without the token, as a load balancer does.
func testHealth(t *testing.T, c *cluster) {
	client := healthv1.NewHealthClient(dial(t, c))
	for _, name := range []string{"", service} {
		answer, err := client.Check(metadata.NewOutgoingContext(deadline(t), nil), &healthv1.HealthCheckRequest{Service: name})
		if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("Check(%q) = %v, %v, want SERVING", name, answer, err)
		}
	}
}

// testReflection: a client can read the contract from the server.
func testReflection(t *testing.T, c *cluster) {
	stream, err := reflectionv1.NewServerReflectionClient(dial(t, c)).ServerReflectionInfo(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(question *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		if err := stream.Send(question); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	listed := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, s := range listed.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	if !slices.Contains(names, service) || !slices.Contains(names, "grpc.health.v1.Health") {
		t.Errorf("ListServices() = %q, want %s and health", names, service)
	}
	described := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if len(described.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("FileContainingSymbol(%s) = %v, want a descriptor", service, described)
	}
}

// asJSON returns an update as a person would write it.
func asJSON(event, order, subject string) string {
	return fmt.Sprintf(`{"provider":"generic","event_id":%q,"order_id":%q,"occurred_at":"2026-01-04T10:00:00Z",%s}`, event, order, subject)
}

const (
	anOrder  = `"order":{"status":"ORDER_STATUS_CREATED","amount":{"minor_units":"10050","currency":"USD"}}`
	aDispute = `"dispute":{"status":"DISPUTE_STATUS_OPEN"}`
)

func testConnect(t *testing.T, c *cluster) {
	url := c.url("internal") + applyUpdate
	body := `{"update":` + asJSON("c1", "connect", anOrder) + `}`
	for _, credentials := range [][]string{nil, {"Authorization", "Bearer " + strings.ToUpper(token)}, {"Authorization", "Bearer x"}} {
		answer := mustPost(t, url, body, credentials...)
		if answer.status != http.StatusUnauthorized || !strings.Contains(string(answer.body), `"unauthenticated"`) {
			t.Errorf("with the credentials %q: answered %s, want 401", credentials, answer)
		}
	}
	if answer := mustPost(t, url, body, bearer...); answer.status != http.StatusOK || !strings.Contains(string(answer.body), `"VERDICT_APPLIED"`) {
		t.Errorf("answered %s, want 200 VERDICT_APPLIED", answer)
	}
	c.awaitHistory(t, "/orders/events", "connect", "c1 created applied")
}

func testREST(t *testing.T, c *cluster) {
	for path, body := range map[string]string{
		"/internal/updates/orders":   asJSON("r1", "rest", anOrder),
		"/internal/updates/disputes": asJSON("r2", "rest", aDispute),
	} {
		if answer := mustPost(t, c.url("internal")+path, body); answer.status != http.StatusUnauthorized || answer.code() != "unauthenticated" {
			t.Errorf("%s without the token: answered %s, want 401", path, answer)
		}
		if answer := mustPost(t, c.url("internal")+path, body, bearer...); answer.status != http.StatusOK || string(answer.body) != `{"verdict":"VERDICT_APPLIED"}` {
			t.Errorf("%s: answered %s, want 200 VERDICT_APPLIED", path, answer)
		}
	}
	c.awaitHistory(t, "/orders/events", "rest", "r1 created applied")
	c.awaitHistory(t, "/disputes/events", "rest", "r2 open applied")
	bad := mustPost(t, c.url("internal")+"/internal/updates/orders", asJSON("r3", "", anOrder), bearer...)
	if bad.status != http.StatusBadRequest || bad.code() != "field_required" {
		t.Errorf("an order without an ID: answered %s, want 400 field_required", bad)
	}
}

func testInternalBadInput(t *testing.T, c *cluster) {
	good := `{"update":` + asJSON("b1", "internal-bad", anOrder) + `}`
	for name, bad := range map[string]struct {
		method, path, mediaType, encoding, body string
		status                                  int
	}{
		"random bytes":      {"POST", applyUpdate, "application/proto", "", "\xff\xfe\xfd\xfc", 400},
		"invalid UTF-8":     {"POST", applyUpdate, "application/proto", "", "\x0a\x03\x12\x01\xff", 400},
		"truncated":         {"POST", applyUpdate, "application/json", "", good[:20], 400},
		"too large":         {"POST", applyUpdate, "application/json", "", strings.Repeat(" ", 1<<20) + good, 429},
		"compressed":        {"POST", applyUpdate, "application/json", "gzip", good, 501},
		"unknown codec":     {"POST", applyUpdate, "application/grpc+xyz", "", good, 415},
		"unknown procedure": {"POST", "/" + service + "/Forget", "application/json", "", good, 404},
		"GET":               {"GET", applyUpdate, "application/json", "", "", 405},
		"unknown path":      {"POST", "/internal/updates/payouts", "application/json", "", good, 404},
	} {
		answer, err := do(bad.method, c.url("internal")+bad.path, bad.body, append([]string{"Content-Type", bad.mediaType, "Content-Encoding", bad.encoding}, bearer...)...)
		if err != nil || answer.status != bad.status {
			t.Errorf("%s: answered %s, %v, want %d", name, answer, err, bad.status)
		}
	}
	if events := c.history(t, "internal-bad"); len(events) != 0 {
		t.Errorf("recorded events = %+v, want none", events)
	}
}

// testInternalOnly: no other listener serves the internal paths.
func testInternalOnly(t *testing.T, c *cluster) {
	for _, listener := range []string{"ingest", "api", "admin"} {
		for _, path := range []string{applyUpdate, "/internal/updates/orders"} {
			if answer := mustPost(t, c.url(listener)+path, `{}`, bearer...); answer.status != http.StatusNotFound {
				t.Errorf("the %s listener answers %s with %s, want 404", listener, path, answer)
			}
		}
	}
}
