package cmd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/payments"
)

// startAPI runs an api listener over an empty database, with a reader's token and one of
// the operator ops, until the test ends. It returns its URL and a client that trusts it.
func startAPI(t *testing.T, withTLS bool) (url string, client *http.Client, reader, operator string) {
	t.Helper()
	reader, readerLine, err := door.NewToken("grafana", door.Reader)
	if err != nil {
		t.Fatal(err)
	}
	operator, operatorLine, err := door.NewToken("ops", door.Operator)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := door.Config{Kind: door.API, Addr: "127.0.0.1:0", MaxConnections: 100, TokensFile: testcert.Write(t, dir, "tokens", []byte(readerLine+"\n"+operatorLine+"\n"))}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	if withTLS {
		authority := testcert.NewAuthority(t)
		cert, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")
		cfg.TLSCert, cfg.TLSKey = testcert.Write(t, dir, "cert.pem", cert), testcert.Write(t, dir, "key.pem", key)
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		transport.TLSClientConfig = &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS13}
	}
	t.Cleanup(transport.CloseIdleConnections)
	log := slog.New(slog.DiscardHandler)
	d, err := door.Open(cfg, door.Options{Needs: apiNeeds, Refuse: api.RefuseCall, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engineOf("sqlite://")
	if err != nil {
		t.Fatal(err)
	}
	db, err := e.open(t.Context(), "sqlite://"+filepath.Join(dir, "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := api.NewOperator(api.OperatorConfig{Store: db, Ledger: payments.NewLedger(db), Caller: door.TokenName, Log: log})
	server := api.NewPublic(api.Config{Wrap: d.Wrap}, d.Listener(), api.NewQuery(db, log), o, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	return d.URL(), &http.Client{Transport: transport, Timeout: 10 * time.Second}, reader, operator
}

// The role of the token is checked for each procedure, and a refusal has a code that
// clients of every protocol read.
func TestRolesOfCalls(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		url, client, reader, operator := startAPI(t, withTLS)
		for protocol, options := range map[string][]connect.ClientOption{
			"connect json": {connect.WithProtoJSON()}, "connect": nil, "grpc-web": {connect.WithGRPCWeb()}, "grpc": {connect.WithGRPC()},
		} {
			operate, query := payrelayv1connect.NewOperatorServiceClient(client, url, options...), payrelayv1connect.NewQueryServiceClient(client, url, options...)
			for token, want := range map[string][3]connect.Code{
				"": {connect.CodeUnauthenticated, connect.CodeUnauthenticated, connect.CodeUnauthenticated}, "x": {connect.CodeUnauthenticated, connect.CodeUnauthenticated, connect.CodeUnauthenticated},
				reader: {0, connect.CodeNotFound, connect.CodePermissionDenied}, operator: {0, connect.CodeNotFound, 0},
			} {
				ctx, call := connect.NewClientContext(t.Context())
				call.RequestHeader().Set("Authorization", "Bearer "+token)
				_, first := query.ListOrders(ctx, new(payrelayv1.ListOrdersRequest))
				_, second := operate.GetDeadLetter(ctx, &payrelayv1.GetDeadLetterRequest{Id: 1})
				_, third := operate.ReplayDeadLetters(ctx, &payrelayv1.ReplayDeadLettersRequest{Selection: &payrelayv1.Selection{Ids: []int64{1}}, Decision: &payrelayv1.Decision{Reason: "a test"}})
				for i, err := range []error{first, second, third} {
					if code := connect.CodeOf(err); (err == nil) != (want[i] == 0) || err != nil && code != want[i] {
						t.Errorf("%s, TLS %t, token %.5q: call %d = %v, want %v", protocol, withTLS, token, i, err, want[i])
					}
				}
			}
		}
	}
}

func TestAPINeeds(t *testing.T) {
	for path, want := range map[string]door.Role{
		"/orders": door.Reader, "/deadletters": door.Reader, "/audit": door.Reader, "/nothing": door.Reader,
		"/grpc.health.v1.Health/Check": door.Anyone, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": door.Reader,
		"/payrelay.v1.QueryService/ListOrders": door.Reader, "/payrelay.v1.OperatorService/ListDeadLetters": door.Reader,
		"/payrelay.v1.OperatorService/GetBody": door.Operator, "/payrelay.v1.OperatorService/Rederive": door.Operator,
	} {
		if got := apiNeeds(httptest.NewRequest(http.MethodPost, path, nil)); got != want {
			t.Errorf("apiNeeds(%s) = %s, want %s", path, got, want)
		}
	}
}

// A page in a browser cannot call, whatever it sends.
func TestBrowsersCannotCall(t *testing.T) {
	url, client, _, operator := startAPI(t, false)
	for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+payrelayv1connect.OperatorServiceReplayDeadLettersProcedure, strings.NewReader(`{"selection":{"ids":[1]},"decision":{"reason":"x"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+operator)
		req.Header.Set(header, value)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("with %s: %d %v, want 403 with a request ID", header, resp.StatusCode, resp.Header)
		}
	}
}
