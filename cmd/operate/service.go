package operate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/modules/transport"
)

// Service has the methods that the commands call: those of the client of a server, or of its
// handlers in this process.
type Service interface {
	payrelayv1connect.QueryServiceClient
	payrelayv1connect.OperatorServiceClient
}

// Open opens an existing database for one command, and closes it after use. The service
// is that of the api role, in this process.
type Open func(ctx context.Context, data flags.Data, use func(Service) error) error

// target is the server or the database that a command works on.
type target struct {
	open      Open
	data      flags.Data
	apiURL    string
	tokenFile string
	caFile    string
}

// RegisterFlags declares the flags.
func (t *target) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&t.apiURL, "api-url", "", "URL of the api listener of a server, such as http://127.0.0.1:3000; without it, the command works on the database: `OPERATOR_API_URL`")
	fs.StringVar(&t.tokenFile, "api-token-file", "", "file with a token of the api listener, instead of API_TOKEN: `API_TOKEN_FILE`")
	fs.StringVar(&t.caFile, "api-ca-file", "", "PEM file with the authorities that may sign the certificate of the api listener, instead of those of the system: `OPERATOR_API_CA_FILE`")
	t.data.RegisterFlags(fs)
}

// remote reports whether the command calls a server.
func (t *target) remote() bool { return t.apiURL != "" }

// use calls a function with the service.
func (t *target) use(ctx context.Context, do func(Service) error) error {
	if !t.remote() {
		return explained(t.open(ctx, t.data, do))
	}
	service, err := t.dial()
	if err != nil {
		return err
	}
	return explained(do(service))
}

// callTimeout is the deadline of one call. A server answers within 20 seconds.
const callTimeout = 30 * time.Second

// maxAnswerBytes is the largest answer that the client reads.
const maxAnswerBytes = 64 << 20

// dial returns the client of the server. It connects at the first call.
func (t *target) dial() (Service, error) {
	u, err := url.Parse(t.apiURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The error does not quote the URL: it may hold a password.
		return nil, flags.Usagef("api-url (OPERATOR_API_URL) is not a URL that can be called: write it as http://host:port or https://host:port")
	}
	token, err := flags.ReadSecret(t.tokenFile, "api-token-file", "API_TOKEN", "write a token into it, such as from app tokens new")
	if err != nil {
		return nil, err
	}
	if token != "" && u.Scheme == "http" && !transport.IsLoopback(u.Hostname()) {
		return nil, flags.Usagef("api-url (OPERATOR_API_URL) is on another machine, and http would show the token to the network: write https://host:port, or make a tunnel to 127.0.0.1")
	}
	wire := http.DefaultTransport.(*http.Transport).Clone()
	wire.Proxy = nil // the token is for the server only
	if t.caFile != "" {
		if wire.TLSClientConfig, err = authorities(t.caFile); err != nil {
			return nil, err
		}
	}
	client := &http.Client{
		Transport: wire,
		Timeout:   callTimeout,
		// A redirect would send the token to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	options := []connect.ClientOption{connect.WithReadMaxBytes(maxAnswerBytes), connect.WithInterceptors(bearer(token))}
	base := strings.TrimSuffix(t.apiURL, "/")
	return struct {
		payrelayv1connect.QueryServiceClient
		payrelayv1connect.OperatorServiceClient
	}{
		payrelayv1connect.NewQueryServiceClient(client, base, options...),
		payrelayv1connect.NewOperatorServiceClient(client, base, options...),
	}, nil
}

func authorities(file string) (*tls.Config, error) {
	certificates, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read api-ca-file (OPERATOR_API_CA_FILE): %w", err)
	}
	made := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !made.RootCAs.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("api-ca-file (OPERATOR_API_CA_FILE) %s has no certificate in PEM", file)
	}
	return made, nil
}

func bearer(token string) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			if token != "" {
				request.Header().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, request)
		}
	}
}
