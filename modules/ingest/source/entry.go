package source

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

// entry configures one source. Texts of secrets may be the name of an environment
// variable, such as ${STRIPE_SECRET}.
type entry struct {
	Name             string      `yaml:"name"`
	Provider         string      `yaml:"provider"`
	Environment      string      `yaml:"environment"`
	Secrets          []secret    `yaml:"secrets"`
	Tolerance        string      `yaml:"tolerance"`
	OrderID          orderID     `yaml:"order_id"`
	AllowedAddresses []string    `yaml:"allowed_addresses"`
	RateLimit        int         `yaml:"rate_limit"`
	MaxInFlight      int         `yaml:"max_in_flight"`
	Capture          string      `yaml:"capture"`
	BasicAuth        *basicAuth  `yaml:"basic_auth"`
	WebhookID        string      `yaml:"webhook_id"`
	Signature        *signature  `yaml:"signature"`
	PayPalTest       *payPalTest `yaml:"paypal_test"`
}

type secret struct {
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
	PublicKey  string `yaml:"public_key"`
	NotAfter   string `yaml:"not_after"`
}

type orderID struct {
	MetadataKey string `yaml:"metadata_key"`
	Prefix      string `yaml:"prefix"`
}

type basicAuth struct {
	Username     string `yaml:"username"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
}

type signature struct {
	Scheme    string `yaml:"scheme"`
	Header    string `yaml:"header"`
	Algorithm string `yaml:"algorithm"`
	Encoding  string `yaml:"encoding"`
	Prefix    string `yaml:"prefix"`
}

type payPalTest struct {
	CertHost string `yaml:"cert_host"`
	CAFile   string `yaml:"ca_file"`
}

// source returns the source of an entry.
func (e entry) source(allowUnsigned bool) (*Source, error) {
	settings, err := e.settings()
	if err != nil {
		return nil, err
	}
	unverified := provider.Uses(e.Provider, "secrets") && len(settings.Secrets) == 0
	if unverified && !allowUnsigned {
		return nil, errors.New("it has no secret, so that anyone could send its webhooks: set secrets, or start with --insecure-no-signature to accept them unverified")
	}
	adapter, err := provider.New(settings)
	if err != nil {
		return nil, err
	}
	allowed, err := prefixes(e.AllowedAddresses)
	if err != nil {
		return nil, err
	}
	s := &Source{Adapter: adapter, Name: e.Name, Provider: e.Provider, Signed: true, Environment: settings.Environment, allowed: allowed}
	for _, secret := range settings.Secrets {
		s.ends = append(s.ends, secret.NotAfter)
	}
	if unverified {
		s.Adapter, s.Signed = unsigned{adapter}, false
	}
	if e.RateLimit < 0 || e.MaxInFlight < 0 {
		return nil, errors.New("rate_limit and max_in_flight must not be negative: leave them out for no limit")
	}
	if e.RateLimit > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(e.RateLimit), e.RateLimit)
	}
	if e.MaxInFlight > 0 {
		s.Slots = make(chan struct{}, e.MaxInFlight)
	}
	text, err := json.Marshal([]any{e, settings})
	if err != nil {
		return nil, err
	}
	s.fingerprint = fmt.Sprintf("%x", sha256.Sum256(text))
	return s, nil
}

// settings returns the settings of the adapter, with the secrets.
func (e entry) settings() (s provider.Settings, err error) {
	if !slices.Contains(provider.Names(), e.Provider) {
		return s, fmt.Errorf("provider %q is not known: choose one of %s", e.Provider, strings.Join(provider.Names(), ", "))
	}
	if err := e.checkUse(); err != nil {
		return s, err
	}
	s = provider.Settings{
		Source: e.Name, Provider: e.Provider, Environment: provider.Environment(e.Environment),
		OrderIDKey: e.OrderID.MetadataKey, OrderIDPrefix: e.OrderID.Prefix, Signature: provider.Signature(value(e.Signature)),
		PayPalTest: (*provider.PayPalTest)(e.PayPalTest), AutomaticCapture: e.Capture == "automatic",
	}
	if s.Environment != "" && s.Environment != provider.Live && s.Environment != provider.Test {
		return s, fmt.Errorf("environment is %q: choose live or test", e.Environment)
	}
	if e.Tolerance != "" {
		if s.Tolerance, err = time.ParseDuration(e.Tolerance); err != nil || s.Tolerance < time.Second || s.Tolerance > 96*time.Hour {
			return s, fmt.Errorf("tolerance is %q: write a duration from 1s to 96h, such as 5m", e.Tolerance)
		}
	}
	if s.WebhookID, err = expand(e.WebhookID); err != nil {
		return s, err
	}
	if s.Secrets, err = e.secrets(); err != nil {
		return s, err
	}
	if e.BasicAuth != nil {
		password, err := secretText(e.BasicAuth.Password, e.BasicAuth.PasswordFile, "password")
		if err != nil {
			return s, err
		}
		if e.BasicAuth.Username == "" {
			return s, errors.New("basic_auth has no username: set it to that of the provider's dashboard")
		}
		s.BasicAuth = &provider.BasicAuth{Username: e.BasicAuth.Username, Password: password}
	}
	return s, nil
}

// value returns what a pointer points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// checkUse refuses a setting that the provider does not read, and a missing environment.
func (e entry) checkUse() error {
	for setting, used := range map[string]bool{
		"secrets": len(e.Secrets) > 0, "tolerance": e.Tolerance != "", "basic_auth": e.BasicAuth != nil, "capture": e.Capture != "", "webhook_id": e.WebhookID != "",
		"signature": e.Signature != nil, "order_id.metadata_key": e.OrderID.MetadataKey != "", "paypal_test": e.PayPalTest != nil,
	} {
		if used && !provider.Uses(e.Provider, setting) {
			return fmt.Errorf("provider %s does not use %s: remove it", e.Provider, setting)
		}
	}
	if provider.Uses(e.Provider, "capture") && e.Capture != "manual" && e.Capture != "automatic" {
		return fmt.Errorf("capture is %q: set it to automatic if the account captures authorized payments by itself, and to manual if it sends an event of each capture", e.Capture)
	}
	if e.Environment == "" && provider.Uses(e.Provider, "environment") {
		return errors.New("environment is missing: set it to live or test")
	}
	return nil
}

// secrets returns the secrets of an entry.
func (e entry) secrets() ([]provider.Secret, error) {
	var secrets []provider.Secret
	for i, given := range e.Secrets {
		text, err := secretText(given.Secret, given.SecretFile, "secret")
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		public, err := expand(given.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		if public != "" && !provider.Uses(e.Provider, "public_key") {
			return nil, fmt.Errorf("secret %d: provider %s does not use public_key: remove it", i+1, e.Provider)
		}
		s := provider.Secret{Value: text, PublicKey: public}
		if given.NotAfter != "" {
			if s.NotAfter, err = time.Parse(time.RFC3339, given.NotAfter); err != nil {
				return nil, fmt.Errorf("secret %d: not_after is %q: write a time such as 2026-12-01T00:00:00Z", i+1, given.NotAfter)
			}
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}

// secretText returns a secret from the configuration or from a file, without the line
// break at the end. key is the name of the setting.
func secretText(text, path, key string) (string, error) {
	switch {
	case text != "" && path != "":
		return "", fmt.Errorf("both %s and %s_file are set: remove one", key, key)
	case path != "":
		content, err := readFile(path)
		if err != nil {
			return "", fmt.Errorf("read %s_file: %w", key, err)
		}
		text = strings.TrimRight(string(content), "\r\n")
	default:
		var err error
		if text, err = expand(text); err != nil {
			return "", err
		}
	}
	if text == "" {
		return "", fmt.Errorf("the %s is empty: set %s or %s_file", key, key, key)
	}
	return text, nil
}

// expand returns the value of the environment variable if text has the form ${NAME}, and
// text otherwise.
func expand(text string) (string, error) {
	name, ok := strings.CutPrefix(text, "${")
	if name, closed := strings.CutSuffix(name, "}"); ok && closed {
		value := os.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return value, nil
	}
	return text, nil
}

// prefixes parses addresses and networks.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var parsed []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() { // which would hold no address
			return nil, fmt.Errorf("allowed_addresses has %q: write an address or a network, such as 192.0.2.7 or 192.0.2.0/24", text)
		}
		parsed = append(parsed, prefix)
	}
	return parsed, nil
}
