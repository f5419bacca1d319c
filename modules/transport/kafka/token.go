package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/payrelay/payrelay/modules/transport"
)

// TokenConfig locates the token for a login by token.
type TokenConfig struct {
	// TokenFile is a file with the token. It is read for each login, because another
	// program renews it.
	TokenFile string
	// TokenURL is the endpoint of an authorization server that issues a token for the
	// user name and the password of the login, which are a client ID and its secret.
	// Scope is passed to it, if not empty.
	TokenURL, Scope string
	// Region is the region of a cluster of Amazon MSK.
	Region string
}

// RegisterFlags declares the flags of tokens.
func (c *TokenConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.TokenFile, "kafka-oauth-token-file", "", "file with the token for OAUTHBEARER, read again at each login: `KAFKA_OAUTH_TOKEN_FILE`")
	fs.StringVar(&c.TokenURL, "kafka-oauth-token-url", "", "token endpoint of the authorization server for OAUTHBEARER, with the user name as the client ID and the password as its secret: `KAFKA_OAUTH_TOKEN_URL`")
	fs.StringVar(&c.Scope, "kafka-oauth-scope", "", "scopes to request from kafka-oauth-token-url, separated by spaces: `KAFKA_OAUTH_SCOPE`")
	fs.StringVar(&c.Region, "kafka-aws-region", "", "region of the MSK cluster for AWS_MSK_IAM, by default that of AWS_REGION: `KAFKA_AWS_REGION`")
}

// validateToken checks a login by a token from an authorization server.
func (c SASLConfig) validateToken() error {
	switch {
	case (c.TokenFile == "") == (c.TokenURL == ""):
		return errors.New("OAUTHBEARER needs a token: name either its file with kafka-oauth-token-file (KAFKA_OAUTH_TOKEN_FILE), or the endpoint with kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL)")
	case c.Region != "":
		return errors.New("kafka-aws-region (KAFKA_AWS_REGION) is not for OAUTHBEARER: leave it out, or choose AWS_MSK_IAM")
	case c.TokenFile != "" && (c.Username != "" || c.Password != "" || c.Scope != ""):
		return errors.New("the token in kafka-oauth-token-file (KAFKA_OAUTH_TOKEN_FILE) names the user: leave out the user name, the password and the scope for Kafka")
	case c.TokenFile != "":
		_, err := fileToken(c.TokenFile).Token()
		return err
	}
	at, err := url.Parse(c.TokenURL)
	switch {
	case err != nil || at.Host == "" || at.User != nil || at.Scheme != "https" && at.Scheme != "http":
		return errors.New("kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL) is not a URL: write it as https://host/path, without a user")
	case at.Scheme == "http" && !transport.IsLoopback(at.Hostname()):
		return errors.New("kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL) is http, which shows the secret to the network: write it as https://host/path")
	case c.Username == "":
		return errors.New("kafka-sasl-username (KAFKA_SASL_USERNAME) is empty: name the client ID for kafka-oauth-token-url")
	case c.Password == "":
		return errors.New("there is no client secret for kafka-oauth-token-url: set KAFKA_SASL_PASSWORD or --kafka-sasl-password-file")
	default:
		return nil
	}
}

// validateMSK checks a login by IAM.
func (c SASLConfig) validateMSK() error {
	switch {
	case c.Username != "" || c.Password != "":
		return errors.New("kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) AWS_MSK_IAM takes the credentials of AWS: leave out the user name and the password for Kafka")
	case c.TokenConfig != TokenConfig{Region: c.Region}:
		return errors.New("the settings whose names begin with kafka-oauth are not for kafka-sasl-mechanism (KAFKA_SASL_MECHANISM) AWS_MSK_IAM, whose tokens the credentials of AWS sign: leave them out, or choose OAUTHBEARER")
	case c.region() == "":
		return errors.New("kafka-aws-region (KAFKA_AWS_REGION) is empty: name the region of the MSK cluster, such as eu-west-1")
	default:
		return nil
	}
}

func (c TokenConfig) region() string {
	if c.Region != "" {
		return c.Region
	}
	return os.Getenv("AWS_REGION")
}

// tokenTimeout bounds a request for a token.
const tokenTimeout = 10 * time.Second

// providers are the sources of tokens by their configuration. All connections of a
// process share one, which keeps a token until it expires.
var providers sync.Map

// tokens returns the source of the tokens of a login.
func (c SASLConfig) tokens() sarama.AccessTokenProvider {
	if c.TokenFile != "" {
		return fileToken(c.TokenFile)
	}
	known, found := providers.Load(c)
	if !found {
		known, _ = providers.LoadOrStore(c, c.newTokens())
	}
	return known.(sarama.AccessTokenProvider)
}

func (c SASLConfig) newTokens() sarama.AccessTokenProvider {
	if c.Mechanism == mskIAM {
		return &mskToken{region: c.region()}
	}
	client := &clientcredentials.Config{ClientID: c.Username, ClientSecret: c.Password, TokenURL: c.TokenURL, Scopes: strings.Fields(c.Scope)}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	return clientToken{client.TokenSource(ctx), c.TokenURL}
}

// fileToken is a file with a token.
type fileToken string

// Token reads the file. Its error does not show the token.
func (f fileToken) Token() (*sarama.AccessToken, error) {
	content, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("read kafka-oauth-token-file (KAFKA_OAUTH_TOKEN_FILE): %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsAny(token, " \t\r\n\x01") {
		return nil, fmt.Errorf("kafka-oauth-token-file (KAFKA_OAUTH_TOKEN_FILE) %s does not hold one token: write the token into it and nothing else", string(f))
	}
	return &sarama.AccessToken{Token: token}, nil
}

// clientToken gets tokens from an authorization server.
type clientToken struct {
	source oauth2.TokenSource
	url    string
}

// Token returns a token that has not expired. Its error has the error code
// of the server, but neither the secret nor the rest of the answer.
func (c clientToken) Token() (*sarama.AccessToken, error) {
	token, err := c.source.Token()
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("get a token from kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL): the server answers %d %q: correct kafka-sasl-username (KAFKA_SASL_USERNAME), KAFKA_SASL_PASSWORD or kafka-oauth-scope (KAFKA_OAUTH_SCOPE)",
			refused.Response.StatusCode, refused.ErrorCode)
	case err != nil:
		return nil, fmt.Errorf("get a token from kafka-oauth-token-url (KAFKA_OAUTH_TOKEN_URL): %w", err)
	}
	return &sarama.AccessToken{Token: token.AccessToken}, nil
}

// mskToken signs tokens for Amazon MSK with the credentials of AWS, which are those of the
// environment, the shared files, the container or the machine.
type mskToken struct {
	region string

	mu          sync.Mutex
	credentials aws.CredentialsProvider // caches them until they expire
}

// Token signs a new token, which is valid for 15 minutes.
func (m *mskToken) Token() (*sarama.AccessToken, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.credentials == nil {
		loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(m.region))
		if err != nil {
			return nil, fmt.Errorf("find the credentials of AWS for Kafka: %w", err)
		}
		m.credentials = loaded.Credentials
	}
	token, _, err := signer.GenerateAuthTokenFromCredentialsProvider(ctx, m.region, m.credentials)
	if err != nil {
		return nil, fmt.Errorf("sign a token for Kafka with the credentials of AWS: %w", err)
	}
	return &sarama.AccessToken{Token: token}, nil
}
