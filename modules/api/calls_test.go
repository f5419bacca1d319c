package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/payments"
)

// filled returns a memory with something of everything.
func filled() *memory {
	m := lettersOf(3)
	full := fullMemory(3)
	m.orders, m.disputes, m.events = full.orders, full.disputes, full.events
	m.activity = []payments.SourceActivity{{Source: "generic", LastEventAt: noon, OpenDeadLetters: 2}}
	m.audit = []payments.AuditEntry{{ID: 1, At: noon, Who: "ops", Action: payments.ActionReplay, Target: "dead letter 1", Why: "y"}}
	return m
}

// services has both services. The generated clients satisfy it, and so do the handlers.
type services struct {
	payrelayv1connect.QueryServiceClient
	payrelayv1connect.OperatorServiceClient
}

// protocols has the options of a client of each protocol.
var protocols = map[string][]connect.ClientOption{
	"connect json": {connect.WithProtoJSON()}, "connect": nil, "grpc-web": {connect.WithGRPCWeb()}, "grpc": {connect.WithGRPC()},
}

// serviceClients returns clients for each protocol over each version of HTTP that it
// supports.
func serviceClients(url string) map[string]services {
	clients := make(map[string]services)
	for version, client := range map[string]*http.Client{", http/1.1": {Timeout: 10 * time.Second}, ", http/2": h2c()} {
		for protocol, options := range protocols {
			if protocol == "grpc" && version == ", http/1.1" {
				continue
			}
			clients[protocol+version] = services{
				payrelayv1connect.NewQueryServiceClient(client, url, options...), payrelayv1connect.NewOperatorServiceClient(client, url, options...),
			}
		}
	}
	return clients
}

// everyCall calls each method of both services once. The result is by the name of the
// method.
func everyCall(ctx context.Context, s services) (map[string]proto.Message, map[string]error) {
	answers, failures := make(map[string]proto.Message), make(map[string]error)
	keep := func(name string, answer proto.Message, err error) {
		if err != nil {
			failures[name] = err
			return
		}
		answers[name] = answer
	}
	call(ctx, keep, "ListOrders", s.ListOrders, &payrelayv1.ListOrdersRequest{Page: &payrelayv1.Page{Limit: 2}})
	call(ctx, keep, "GetOrder", s.GetOrder, &payrelayv1.GetOrderRequest{OrderId: "id 0/%2C é"})
	call(ctx, keep, "ListDisputes", s.ListDisputes, new(payrelayv1.ListDisputesRequest))
	call(ctx, keep, "GetDispute", s.GetDispute, &payrelayv1.GetDisputeRequest{DisputeId: "id 1/%2C é"})
	call(ctx, keep, "ListEvents", s.ListEvents, new(payrelayv1.ListEventsRequest))
	call(ctx, keep, "ExplainOrder", s.ExplainOrder, &payrelayv1.ExplainOrderRequest{OrderId: "id 0/%2C é"})
	call(ctx, keep, "ExplainDispute", s.ExplainDispute, &payrelayv1.ExplainDisputeRequest{DisputeId: "id 1/%2C é"})
	call(ctx, keep, "ListDeadLetters", s.ListDeadLetters, &payrelayv1.ListDeadLettersRequest{Page: &payrelayv1.Page{Limit: 2}})
	call(ctx, keep, "CountDeadLetters", s.CountDeadLetters, new(payrelayv1.CountDeadLettersRequest))
	call(ctx, keep, "GetDeadLetter", s.GetDeadLetter, &payrelayv1.GetDeadLetterRequest{Id: 1})
	call(ctx, keep, "ListSources", s.ListSources, new(payrelayv1.ListSourcesRequest))
	call(ctx, keep, "ListAudit", s.ListAudit, &payrelayv1.ListAuditRequest{Actions: []string{"replay"}, Page: &payrelayv1.Page{Limit: 1, Ascending: true}})
	call(ctx, keep, "ReplayDeadLetters", s.ReplayDeadLetters, &payrelayv1.ReplayDeadLettersRequest{Selection: byIDs(1, 2), Decision: because})
	call(ctx, keep, "AcceptDeadLetters", s.AcceptDeadLetters, &payrelayv1.AcceptDeadLettersRequest{Selection: byIDs(1), Decision: because})
	call(ctx, keep, "DiscardDeadLetters", s.DiscardDeadLetters, &payrelayv1.DiscardDeadLettersRequest{Selection: byIDs(1), Decision: because})
	call(ctx, keep, "GetBody", s.GetBody, &payrelayv1.GetBodyRequest{DeadLetterId: 1, Decision: because})
	call(ctx, keep, "Rederive", s.Rederive, &payrelayv1.RederiveRequest{Decision: because})
	return answers, failures
}

func call[Q any, A proto.Message](ctx context.Context, keep func(string, proto.Message, error), name string, method func(context.Context, Q) (A, error), req Q) {
	answer, err := method(ctx, req)
	keep(name, answer, err)
}

// handlersOf returns both services without a server.
func handlersOf(m *memory) services {
	return services{NewQuery(m, quiet()), operatorOf(m, new(decider), "")}
}

// startServices runs a public listener with a Wrap, which may be nil.
func startServices(t *testing.T, m *memory, wrap func(http.Handler) http.Handler, log *slog.Logger) string {
	t.Helper()
	p := NewPublic(Config{Wrap: wrap}, listen(t), NewQuery(m, log), NewOperator(OperatorConfig{Store: m, Ledger: new(decider), Log: log}), log)
	run(t, p)
	return "http://" + p.Addr()
}

// Every protocol answers what a caller in the same process gets.
func TestEveryProtocolReachesTheSameServices(t *testing.T) {
	want, failures := everyCall(t.Context(), handlersOf(filled()))
	for name, err := range failures {
		t.Errorf("%s in this process = %v", name, err)
	}
	for _, s := range []protoreflect.Name{"QueryService", "OperatorService"} {
		for i := range methodsOf(s).Len() {
			if name := string(methodsOf(s).Get(i).Name()); want[name] == nil {
				t.Errorf("everyCall does not call %s", name)
			}
		}
	}
	for protocol := range serviceClients("") {
		client := serviceClients(startServices(t, filled(), nil, quiet()))[protocol]
		got, failures := everyCall(t.Context(), client)
		for name := range want {
			if !proto.Equal(got[name], want[name]) {
				t.Errorf("%s: %s() = %v, %v, want %v", protocol, name, got[name], failures[name], want[name])
			}
		}
	}
}

func TestEveryProtocolReportsMistakes(t *testing.T) {
	for protocol, client := range serviceClients(startServices(t, filled(), nil, quiet())) {
		_, err := client.ListOrders(t.Context(), &payrelayv1.ListOrdersRequest{Page: &payrelayv1.Page{Limit: 201}})
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "1 to 200") {
			t.Errorf("%s: ListOrders() = %v, want invalid_argument with a sentence", protocol, err)
		}
		_, err = client.GetOrder(t.Context(), &payrelayv1.GetOrderRequest{OrderId: "none"})
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: GetOrder() = %v, want not_found", protocol, err)
		}
		_, err = client.GetDeadLetter(t.Context(), &payrelayv1.GetDeadLetterRequest{Id: 99})
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: GetDeadLetter() = %v, want not_found", protocol, err)
		}
		_, err = client.ReplayDeadLetters(t.Context(), &payrelayv1.ReplayDeadLettersRequest{Selection: byIDs(1), Decision: &payrelayv1.Decision{Reason: strings.Repeat("x", maxMessageBytes)}})
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s: ReplayDeadLetters() of a large message = %v, want resource_exhausted", protocol, err)
		}
	}
}

func TestEveryProtocolReportsPanics(t *testing.T) {
	var log strings.Builder
	m := filled()
	m.fail = func(context.Context) error { panic("secret") }
	for protocol, client := range serviceClients(startServices(t, m, nil, slog.New(slog.NewTextHandler(&log, nil)))) {
		_, err := client.ListSources(t.Context(), new(payrelayv1.ListSourcesRequest))
		if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: ListSources() = %v, want internal without the panic", protocol, err)
		}
	}
	if !strings.Contains(log.String(), "panic: secret") || !strings.Contains(log.String(), "request_id=") || !strings.Contains(log.String(), "ListSources") {
		t.Errorf("log = %s, want the panic, the request ID and the method", log.String())
	}
}

// A client of grpc-go gets the codes of gRPC, also from the policy of the listener.
func TestPlainGRPCClientOfTheServices(t *testing.T) {
	conn, ctx := dial(t, startServices(t, filled(), nil, quiet()))
	answer := new(payrelayv1.ListDeadLettersResponse)
	if err := conn.Invoke(ctx, payrelayv1connect.OperatorServiceListDeadLettersProcedure, new(payrelayv1.ListDeadLettersRequest), answer); err != nil || answer.GetTotal() != 3 {
		t.Errorf("ListDeadLetters() = %v, %v, want a total of 3", answer, err)
	}
	err := conn.Invoke(ctx, payrelayv1connect.OperatorServiceGetDeadLetterProcedure, new(payrelayv1.GetDeadLetterRequest), new(payrelayv1.GetDeadLetterResponse))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("GetDeadLetter() = %v, want InvalidArgument", err)
	}
	for code, want := range map[string]codes.Code{"unauthenticated": codes.Unauthenticated, "role_required": codes.PermissionDenied, "cross_origin": codes.PermissionDenied, "host_not_allowed": codes.FailedPrecondition} {
		conn, ctx := dial(t, startServices(t, filled(), refusing(code), quiet()))
		err := conn.Invoke(ctx, payrelayv1connect.OperatorServiceReplayDeadLettersProcedure, new(payrelayv1.ReplayDeadLettersRequest), new(payrelayv1.ReplayDeadLettersResponse))
		if status.Code(err) != want || !strings.Contains(err.Error(), "the message") {
			t.Errorf("refused with %s: %v, want %v with the message", code, err, want)
		}
	}
}

// refusing returns a policy that refuses every request.
func refusing(code string) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !RefuseCall(w, r, code, "the message") {
				http.Error(w, "not a call", http.StatusTeapot)
			}
		})
	}
}

func TestRefusalsInEveryProtocol(t *testing.T) {
	for code, want := range map[string]connect.Code{"unauthenticated": connect.CodeUnauthenticated, "role_required": connect.CodePermissionDenied} {
		url := startServices(t, filled(), refusing(code), quiet())
		for protocol, client := range serviceClients(url) {
			_, failures := everyCall(t.Context(), client)
			for name, err := range failures {
				if connect.CodeOf(err) != want || !strings.Contains(err.Error(), "the message") {
					t.Errorf("%s: %s() = %v, want %v with the message", protocol, name, err, want)
				}
			}
			if len(failures) == 0 {
				t.Errorf("%s: nothing was refused", protocol)
			}
		}
		send(t, http.MethodPost, url+payrelayv1connect.QueryServiceListOrdersProcedure, []byte("{}"), "Content-Type", "application/json").
			wantRPCError(t, httpStatus(code), want.String())
		for _, other := range []string{"GET /orders", "POST /orders"} {
			method, path, _ := strings.Cut(other, " ")
			if got := send(t, method, url+path, nil, "Content-Type", "application/json"); got.status != http.StatusTeapot {
				t.Errorf("%s = %d %s, want it left to the policy", other, got.status, got.body)
			}
		}
	}
}

// Only what is listed as harmless is open to readers.
func TestNeedsOperator(t *testing.T) {
	needs := func(path string) bool { return NeedsOperator(httptest.NewRequest(http.MethodPost, path, nil)) }
	var open []string
	for i := range methodsOf("OperatorService").Len() {
		if name := string(methodsOf("OperatorService").Get(i).Name()); !needs("/payrelay.v1.OperatorService/" + name) {
			open = append(open, name)
		}
	}
	slices.Sort(open)
	if want := []string{"CountDeadLetters", "GetDeadLetter", "ListAudit", "ListDeadLetters", "ListSources"}; !slices.Equal(open, want) {
		t.Errorf("readers may call %q, want %q", open, want)
	}
	for path, want := range map[string]bool{
		"/payrelay.v1.OperatorService/": true, "/payrelay.v1.OperatorService/New": true, "/payrelay.v1.OperatorService/ListDeadLetters/": true,
		"/payrelay.v1.OperatorService/%47etBody": true, "/payrelay.v1.OperatorService/%4cistAudit": false, "/payrelay.v1.QueryService/ListOrders": false,
		"/orders": false, "/deadletters": false, "/audit": false,
	} {
		if got := needs(path); got != want {
			t.Errorf("NeedsOperator(%s) = %t, want %t", path, got, want)
		}
	}
}

// methodsOf returns the methods of a service of the contract.
func methodsOf(service protoreflect.Name) protoreflect.MethodDescriptors {
	for _, file := range []protoreflect.FileDescriptor{payrelayv1.File_payrelay_v1_query_proto, payrelayv1.File_payrelay_v1_operator_proto} {
		if s := file.Services().ByName(service); s != nil {
			return s.Methods()
		}
	}
	panic("no service " + service)
}

func TestPublicHealthAndReflection(t *testing.T) {
	url := startServices(t, filled(), nil, quiet())
	got := send(t, http.MethodPost, url+"/grpc.health.v1.Health/Check", []byte(`{"service":"payrelay.v1.OperatorService"}`), "Content-Type", "application/json")
	if got.status != http.StatusOK || !strings.Contains(got.body, "SERVING") {
		t.Errorf("health = %d %s, want SERVING", got.status, got.body)
	}
	if !IsHealthCheck(httptest.NewRequest(http.MethodPost, "/grpc.health.v1.Health/Check", nil)) || IsHealthCheck(httptest.NewRequest(http.MethodGet, "/orders", nil)) {
		t.Error("IsHealthCheck() is wrong about a check or about /orders")
	}
	stream := grpcreflect.NewClient(h2c(), url, connect.WithGRPC()).NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	if err != nil || len(names) != 3 {
		t.Errorf("services = %v, %v, want QueryService, OperatorService and Health", names, err)
	}
}

// A misspelt field would select more than was meant, or act although a dry run was meant.
func TestUnknownFieldsOfJSONAreRefused(t *testing.T) {
	url := startServices(t, filled(), nil, quiet())
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8"} {
		for call, body := range map[string]string{
			"OperatorService/DiscardDeadLetters": `{"selection": {"ids": [1]}, "decision": {"reason": "x", "operator": "ann"}, "dryrun": true}`,
			"OperatorService/ReplayDeadLetters":  `{"selection": {"filter": {"sources": ["generic"], "orders": ["o1"]}}, "decision": {"reason": "x", "operator": "ann"}}`,
			"QueryService/ListOrders":            `{"order_id": ["o1"]}`,
		} {
			got := send(t, http.MethodPost, url+"/payrelay.v1."+call, []byte(body), "Content-Type", contentType)
			if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "unknown field") {
				t.Errorf("%s as %s = %d %s, want 400 with the unknown field", call, contentType, got.status, got.body)
			}
		}
		got := send(t, http.MethodPost, url+"/payrelay.v1.QueryService/ListOrders", []byte(`{"orderIds": ["none"]}`), "Content-Type", contentType)
		if got.status != http.StatusOK {
			t.Errorf("ListOrders as %s = %d %s, want 200", contentType, got.status, got.body)
		}
	}
}
