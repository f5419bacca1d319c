package operate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
)

// adminTarget is an admin listener.
type adminTarget struct {
	url       string
	tokenFile string
	caFile    string
}

// registerAccess declares the flags other than that of the URL.
func (t *adminTarget) registerAccess(fs *flag.FlagSet) {
	fs.StringVar(&t.tokenFile, "admin-token-file", "", "file with a token of the admin listener: `ADMIN_TOKEN_FILE`")
	fs.StringVar(&t.caFile, "admin-ca-file", "", "PEM file with the authorities that may sign the certificate of the admin listener, instead of those of the system: `ADMIN_CA_FILE`")
}

// get requests a path. The caller closes the body of the answer, whose status is 200.
func (t *adminTarget) get(ctx context.Context, path string) (*http.Response, error) {
	client, err := t.client()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(t.url, "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("admin-url (ADMIN_URL) is %q: write it as http://127.0.0.1:3003", t.url)
	}
	token, err := flags.ReadSecret(t.tokenFile, "admin-token-file", "ADMIN_TOKEN", "write a token into it")
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // what can be read of the reason
		return nil, fmt.Errorf("the answer is %s: %s", response.Status, payments.ErrorMessage(string(text)))
	}
	return response, nil
}

func (t *adminTarget) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 10 * time.Second
	if t.caFile != "" {
		certificates, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, fmt.Errorf("read admin-ca-file (ADMIN_CA_FILE): %w", err)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(certificates) {
			return nil, fmt.Errorf("admin-ca-file (ADMIN_CA_FILE) %s has no certificate in PEM", t.caFile)
		}
	}
	return &http.Client{Transport: transport}, nil
}
