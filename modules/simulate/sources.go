package simulate

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// settings is what the sender knows about a source that WriteSources wrote.
type settings struct {
	Provider       string    `json:"provider"`
	Environment    string    `json:"environment"`
	Secret         string    `json:"secret,omitempty"`
	BasicAuth      string    `json:"basic_auth,omitempty"`
	PublicKey      string    `json:"public_key,omitempty"`
	WebhookID      string    `json:"webhook_id,omitempty"`
	CertificateDir string    `json:"certificate_dir,omitempty"`
	Signature      Signature `json:"signature,omitzero"`
}

// written are the sources that WriteSources writes. The first one of a provider is the
// default for it; the others have other schemes of signatures.
var written = []struct{ name, provider string }{
	{"stripe", "stripe"}, {"adyen", "adyen"}, {"paypal", "paypal"}, {"solidgate", "solidgate"},
	{"standard-webhooks", "standard-webhooks"}, {"standard-webhooks-v1a", "standard-webhooks"},
	{"generic-standard", "generic"}, {"generic-hmac", "generic"}, // "generic" is the built-in source
}

// defaultSource returns the name of the first source of a provider.
func defaultSource(provider string) string {
	for _, source := range written {
		if source.provider == provider {
			return source.name
		}
	}
	return provider
}

// WriteSources writes a file of sources and, beside it, their secrets: those of a provider
// or, if its name is empty, of all. Each source is named for its provider. The settings
// for the sender are in NAME.json. The certificate of PayPal's key will be served at
// certificateAddr.
func WriteSources(path, provider, environment, certificateAddr string) error {
	environment = cmp.Or(environment, "test")
	if environment != "live" && environment != "test" {
		return fmt.Errorf("environment is %q: choose live or test", environment)
	}
	if _, ok := providers[provider]; !ok && provider != "" {
		return fmt.Errorf("provider is %q: choose one of %s, or none for all", provider, strings.Join(Providers, ", "))
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists: remove it, or choose another file", path)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("find the directory of %s: %w", path, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the directory of the sources: %w", err)
	}
	var yaml strings.Builder
	yaml.WriteString("# Sources for app simulate, with random secrets.\nsources:\n")
	for _, source := range written {
		if provider != "" && provider != source.provider || source.provider == "paypal" && environment != "test" {
			continue // the certificates of a live source of PayPal are its own
		}
		if err := writeSource(&yaml, dir, source.name, settings{Provider: source.provider, Environment: environment}, certificateAddr); err != nil {
			return err
		}
	}
	return writeSecret(path, []byte(yaml.String()))
}

// writeSource adds a source to the file, and writes its secrets.
func writeSource(yaml *strings.Builder, dir, name string, s settings, certificateAddr string) error {
	received := "" // what the source knows of the secret, if that is not the secret
	fmt.Fprintf(yaml, "  - name: %s\n    provider: %s\n    environment: %s\n", name, s.Provider, s.Environment)
	var files []error
	switch name {
	case "stripe":
		s.Secret = "whsec_" + rand.Text()
		yaml.WriteString("    order_id:\n      metadata_key: order_id\n")
	case "adyen":
		s.Secret, s.BasicAuth = strings.ToUpper(hex.EncodeToString(randomBytes(32))), "adyen:"+rand.Text()
		_, password, _ := strings.Cut(s.BasicAuth, ":")
		files = append(files, writeSecret(filepath.Join(dir, name+".password"), []byte(password+"\n")))
		fmt.Fprintf(yaml, "    capture: manual\n    basic_auth:\n      username: adyen\n      password_file: %q\n", filepath.Join(dir, name+".password"))
	case "paypal":
		s.WebhookID, s.CertificateDir = "8PT597110X"+rand.Text()[:7], filepath.Join(dir, name)
		address, err := writeAuthority(s.CertificateDir, certificateAddr)
		files = append(files, err)
		fmt.Fprintf(yaml, "    order_id:\n      metadata_key: custom_id\n    webhook_id: %s\n    paypal_test:\n      cert_host: %s\n      ca_file: %q\n",
			s.WebhookID, address, filepath.Join(s.CertificateDir, caFile))
	case "solidgate":
		s.Secret, s.PublicKey = "wh_sk_"+hex.EncodeToString(randomBytes(16)), "wh_pk_"+hex.EncodeToString(randomBytes(16))
	case "standard-webhooks-v1a":
		private := ed25519.NewKeyFromSeed(randomBytes(ed25519.SeedSize))
		s.Secret = "whsk_" + base64.StdEncoding.EncodeToString(private)
		received = "whpk_" + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	case "generic-hmac":
		s.Secret = hex.EncodeToString(randomBytes(32))
		s.Signature = Signature{Scheme: "hmac", Header: "X-Signature", Algorithm: "sha512", Encoding: "base64", Prefix: "sha512="}
		yaml.WriteString("    signature: {scheme: hmac, header: X-Signature, algorithm: sha512, encoding: base64, prefix: \"sha512=\"}\n")
	default: // the schemes of Standard Webhooks
		s.Secret = "whsec_" + base64.StdEncoding.EncodeToString(randomBytes(32))
	}
	if received == "" {
		received = s.Secret
	}
	if received != "" {
		file := filepath.Join(dir, name+".secret")
		files = append(files, writeSecret(file, []byte(received+"\n")))
		fmt.Fprintf(yaml, "    secrets:\n      - secret_file: %q\n", file)
		if s.PublicKey != "" {
			fmt.Fprintf(yaml, "        public_key: %s\n", s.PublicKey)
		}
	}
	content, err := json.MarshalIndent(s, "", "  ")
	return errors.Join(append(files, err, writeSecret(filepath.Join(dir, name+".json"), content))...)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

// readSettings takes what is not set from the settings that WriteSources wrote.
func (c *Config) readSettings() error {
	if c.SecretsDir == "" {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(c.SecretsDir, c.Source+".json"))
	if err != nil {
		return fmt.Errorf("read the settings of the source %s: %w: app simulate --write-sources writes them", c.Source, err)
	}
	var s settings
	if err := json.Unmarshal(content, &s); err != nil {
		return fmt.Errorf("read the settings of the source %s: %w", c.Source, err)
	}
	if s.Provider != c.Provider {
		return fmt.Errorf("the source %s is of the provider %s: choose it by --provider", c.Source, s.Provider)
	}
	if len(c.Secrets) == 0 && s.Secret != "" {
		c.Secrets = []string{s.Secret}
	}
	for _, setting := range []struct {
		to   *string
		from string
	}{{&c.Environment, s.Environment}, {&c.BasicAuth, s.BasicAuth}, {&c.PublicKey, s.PublicKey}, {&c.WebhookID, s.WebhookID}, {&c.CertificateDir, s.CertificateDir}} {
		if *setting.to == "" {
			*setting.to = setting.from
		}
	}
	if s.Signature != (Signature{}) {
		c.Signature = s.Signature
	}
	return nil
}
