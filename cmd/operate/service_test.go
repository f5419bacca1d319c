package operate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/internal/testcert"
)

// serve serves a service, and calls seen with each request first.
func serve(t *testing.T, f *fake, cert *tls.Certificate, seen func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(payrelayv1connect.NewQueryServiceHandler(f))
	mux.Handle(payrelayv1connect.NewOperatorServiceHandler(f))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seen(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	if cert != nil {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// TestRemote checks that a command speaks to a server with TLS, and shows the token.
func TestRemote(t *testing.T) {
	authority := testcert.NewAuthority(t)
	certificate, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	var token string
	server := serve(t, filled(), &pair, func(_ http.ResponseWriter, r *http.Request) bool {
		token = r.Header.Get("Authorization")
		return true
	})
	ca := testcert.Write(t, t.TempDir(), "ca.pem", authority.PEM)
	nothing := new(fake) // the command must not use the database
	args := []string{"orders", "list", "--api-url", server.URL + "/", "--api-token-file", "testdata/token"}
	out, _, err := nothing.run(t, append(args, "--api-ca-file", ca)...)
	if err != nil || !strings.Contains(out, "partially_refunded") || token != "Bearer secret-token" {
		t.Errorf("orders list = %q, %v with token %q", out, err, token)
	}
	if _, _, err := nothing.run(t, args...); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server of an unknown authority = %v, want an error about the certificate", err)
	}
	if _, _, err := nothing.run(t, append(args, "--api-ca-file", "testdata/token")...); err == nil || !strings.Contains(err.Error(), "no certificate in PEM") {
		t.Errorf("a file without a certificate = %v, want an error", err)
	}
}

func TestVariablesOfTheServer(t *testing.T) {
	server := serve(t, filled(), nil, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer of the environment" {
			http.Error(w, "wrong token", http.StatusUnauthorized)
			return false
		}
		return true
	})
	t.Setenv("OPERATOR_API_URL", server.URL)
	t.Setenv("API_TOKEN", "of the environment\n")
	if out, _, err := new(fake).run(t, "sources", "list"); err != nil || !strings.Contains(out, "shop") {
		t.Errorf("sources list = %q, %v, want the sources of the server", out, err)
	}
	t.Setenv("API_TOKEN", "")
	if _, _, err := new(fake).run(t, "sources", "list"); err == nil || !strings.Contains(err.Error(), "--api-token-file") || strings.Contains(err.Error(), "\n") {
		t.Errorf("sources list without a token = %v, want a sentence about the token", err)
	}
}

// TestErrorsOfTheService checks the sentence and the exit code of each kind of error.
func TestErrorsOfTheService(t *testing.T) {
	for code, want := range map[connect.Code]string{
		connect.CodeNotFound:           "show order o: not found",
		connect.CodeInvalidArgument:    "as it says",
		connect.CodeFailedPrecondition: "as it says",
		connect.CodeUnauthenticated:    "API_TOKEN",
		connect.CodePermissionDenied:   "role operator",
		connect.CodeUnimplemented:      "of this release",
		connect.CodeUnavailable:        "try again",
		connect.CodeInternal:           "answered internal: as it says",
	} {
		err := explained(fmt.Errorf("show order o: %w", connect.NewError(code, errors.New("as it says\x1b"))))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "show order o: ") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("explained(%s) = %v, want %q", code, err, want)
		}
		wantCode := flags.ExitError
		if code == connect.CodeNotFound {
			wantCode = flags.ExitNotFound
		}
		if got := flags.ExitCode(err); got != wantCode {
			t.Errorf("exit code of %s = %d, want %d", code, got, wantCode)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, _, err := new(fake).run(t, "orders", "list", "--api-url", server.URL); err == nil || !strings.Contains(err.Error(), "api listener") {
		t.Errorf("another server = %v, want that it has no such service", err)
	}
	if _, _, err := new(fake).run(t, "orders", "list", "--api-url", "http://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "OPERATOR_API_URL") {
		t.Errorf("no server = %v, want that the answer did not come", err)
	}
}

// TestBodyNeedsAReason checks that a server is asked for a body only with a reason.
func TestBodyNeedsAReason(t *testing.T) {
	f := filled()
	server := serve(t, f, nil, func(http.ResponseWriter, *http.Request) bool { return true })
	show := []string{"deadletters", "show", "3", "--api-url", server.URL}
	if out, _, err := new(fake).run(t, show...); err != nil || !strings.Contains(out, "body is not shown") || !strings.Contains(out, "body sha256  0102") || len(f.asked) != 0 {
		t.Errorf("show = %q, %v after %v, want the digest only", out, err, f.asked)
	}
	if _, _, err := new(fake).run(t, append(show, "--body")...); err == nil || !strings.Contains(err.Error(), "--why is missing") {
		t.Errorf("show --body = %v, want that --why is missing", err)
	}
	if out, _, err := new(fake).run(t, append(show, "--body", "--why", "not paid")...); err != nil || !strings.Contains(out, `"status":"failed"`) || len(f.asked) != 1 {
		t.Errorf("show --body --why = %q, %v after %v, want the body", out, err, f.asked)
	}
	f.asked = nil
	if out, _, err := f.run(t, "deadletters", "show", "3"); err != nil || !strings.Contains(out, `"status":"failed"`) {
		t.Errorf("show on a database = %q, %v, want the body", out, err)
	}
	if asked := f.asked[0].(*payrelayv1.GetBodyRequest); asked.GetDecision().GetReason() == "" || asked.GetDecision().GetOperator() == "" {
		t.Errorf("request = %v, want who and why, for the audit log", asked)
	}
}
