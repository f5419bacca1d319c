package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// testPassword must not appear in any message.
const testPassword = "correct horse=battery,staple"

// authority is a certificate authority with its files, as PEM.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key))
	a.cert = must(x509.ParseCertificate(der))
	a.file = a.write("ca.pem", pemBlock("CERTIFICATE", der))
	return a
}

// sign creates a certificate and its key, for a name or for 127.0.0.1.
func (a *authority) sign(name string) (certFile, keyFile string) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{name},
	}
	if name == "127.0.0.1" {
		template.DNSNames, template.IPAddresses = nil, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key))
	certFile = a.write(name+".pem", pemBlock("CERTIFICATE", der))
	keyFile = a.write(name+".key", pemBlock("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))))
	return certFile, keyFile
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *authority) write(name string, content []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// serverTLS returns the configuration of a server on 127.0.0.1.
func (a *authority) serverTLS() *tls.Config {
	pair := must(tls.LoadX509KeyPair(a.sign("127.0.0.1")))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
}

// relays fails unless an update is published and applied with cfg.
func relays(t *testing.T, cfg Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := AwaitTopics(ctx, cfg); err != nil {
		t.Fatalf("AwaitTopics: %v", err)
	}
	err := WithAdmin(ctx, cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		_, applied := AppliedOffsets(ctx, admin, cfg.Group, cfg.OrdersTopic, 1)
		_, oldest := OffsetsAt(admin, cfg.OrdersTopic, 1, sarama.OffsetOldest)
		return errors.Join(applied, oldest)
	})
	if err != nil {
		t.Errorf("read the offsets: %v", err)
	}
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l := &ledger{}
	consumer, err := NewConsumer(cfg, l, l, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	running := transporttest.Start(consumer.Run)
	defer func() {
		if err := running.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	if _, err := client.Apply(ctx, one()); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	wait.Until(t, patience, "the update", func() bool { return len(l.applied()) > 0 })
}

// refusedAtOnce fails unless AwaitTopics returns a clear error at once, without the
// password.
func refusedAtOnce(t *testing.T, cfg Config, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := AwaitTopics(ctx, cfg)
	if !errors.Is(err, errRefused) || ctx.Err() != nil {
		t.Fatalf("AwaitTopics = %v with the context error %v", err, ctx.Err())
	}
	saysWithoutSecrets(t, err, cfg, says)
}

// refusedInTheEnd fails unless AwaitTopics waits until its deadline, and then returns a
// clear error without the password.
func refusedInTheEnd(t *testing.T, cfg Config, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	_, err := AwaitTopics(ctx, cfg)
	if !errors.Is(err, errLogin) || ctx.Err() == nil {
		t.Fatalf("AwaitTopics = %v with the context error %v", err, ctx.Err())
	}
	saysWithoutSecrets(t, err, cfg, says)
}

func saysWithoutSecrets(t *testing.T, err error, cfg Config, says []string) {
	t.Helper()
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), cfg.Password) && cfg.Password != "" || strings.Contains(err.Error(), testPassword) {
		t.Errorf("the error shows the password: %v", err)
	}
}

var mechanisms = []string{plain, scramSHA256, scramSHA512}

// This broker is not Apache Kafka: it closes the connection on a wrong password.
func TestSASL(t *testing.T) {
	options := []kfake.Opt{kfake.EnableSASL(), kfake.SeedTopics(1, topicNames.Names()...)}
	for _, mechanism := range mechanisms {
		options = append(options, kfake.Superuser(mechanism, "relay", testPassword))
	}
	cluster := startCluster(t, 1, options...)
	for _, mechanism := range mechanisms {
		t.Run(mechanism, func(t *testing.T) {
			cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster}
			cfg.Group = mechanism
			cfg.SASLConfig = SASLConfig{Mechanism: mechanism, Username: "relay", Password: testPassword}
			relays(t, cfg)
		})
	}
	for says, login := range map[string]SASLConfig{
		"KAFKA_SASL_MECHANISM": {},
		"the password":         {Mechanism: scramSHA256, Username: "relay", Password: "hunter2"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster}
		cfg.SASLConfig = login
		if _, err := AwaitTopics(ctx, cfg); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error = %v, want one with %q", err, says)
		}
	}
}

func TestTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	server := ours.serverTLS()
	cluster := startCluster(t, 1, kfake.TLS(server), kfake.SeedTopics(1, topicNames.Names()...))
	cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster}
	cfg.TLSConfig = TLSConfig{TLS: true, CAFile: ours.file}
	relays(t, cfg)

	cfg.CAFile = theirs.file
	refusedAtOnce(t, cfg, "certificate is refused", "KAFKA_TLS_CA_FILE")
	cfg.CAFile = ""
	refusedAtOnce(t, cfg, "certificate is refused", "KAFKA_TLS_CA_FILE")
	cfg.CAFile = ours.file
	cfg.Brokers = []string{strings.Replace(cluster.Brokers[0], "127.0.0.1", "localhost", 1)}
	refusedAtOnce(t, cfg, "certificate is refused", "as the certificate does")

	// A port with another protocol does not answer.
	for brokers, encrypted := range map[string]bool{cluster.Brokers[0]: false, startCluster(t, 1).Brokers[0]: true} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		cfg.TLSConfig, cfg.Brokers = TLSConfig{TLS: encrypted}, []string{brokers}
		if _, err := AwaitTopics(ctx, cfg); err == nil || !strings.Contains(err.Error(), "KAFKA_TLS") {
			t.Errorf("AwaitTopics with TLS %v = %v, want an error that names KAFKA_TLS", encrypted, err)
		}
	}
}

// elsewhere is a listener that names an address which is not loopback.
type elsewhere struct{ net.Listener }

func (e elsewhere) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4zero, Port: e.Listener.Addr().(*net.TCPAddr).Port}
}

// The first broker names the addresses of the others, to which the password would go.
func TestPlainPasswordStaysHere(t *testing.T) {
	listen := kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return elsewhere{l}, err
	})
	cluster := startCluster(t, 1, listen, kfake.EnableSASL(), kfake.Superuser(plain, "relay", testPassword),
		kfake.Superuser(scramSHA512, "relay", testPassword), kfake.SeedTopics(1, topicNames.Names()...))
	cluster.Brokers[0] = strings.Replace(cluster.Brokers[0], "0.0.0.0", "127.0.0.1", 1)
	cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster}
	cfg.SASLConfig = SASLConfig{Mechanism: scramSHA512, Username: "relay", Password: testPassword}
	relays(t, cfg)
	cfg.Mechanism = plain
	refusedAtOnce(t, cfg, "--kafka-tls", "0.0.0.0")
	client, err := NewProducer(cfg)
	if err == nil {
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := client.Apply(ctx, one()); err == nil {
			t.Error("the password was sent to another machine")
		}
	}
}

// Brokers may ask for a client certificate.
func TestClientCertificate(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	server := ours.serverTLS()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	cluster := startCluster(t, 1, kfake.TLS(server), kfake.SeedTopics(1, topicNames.Names()...))
	cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster}
	cfg.TLSConfig = TLSConfig{TLS: true, CAFile: ours.file}
	refusedAtOnce(t, cfg, "KAFKA_TLS_CERT_FILE")
	cfg.CertFile, cfg.KeyFile = theirs.sign("relay")
	refusedAtOnce(t, cfg, "do not accept the certificate in kafka-tls-cert-file")
	cfg.CertFile, cfg.KeyFile = ours.sign("relay")
	relays(t, cfg)
}

// A certificate is renewed in place, and an incomplete file is ignored.
func TestClientCertificateIsRenewed(t *testing.T) {
	ours := newAuthority(t)
	cfg := TLSConfig{TLS: true, CAFile: ours.file}
	cfg.CertFile, cfg.KeyFile = ours.sign("relay")
	config := must(cfg.client())
	presented := func() []byte { return must(config.GetClientCertificate(nil)).Leaf.Raw }
	first := presented()
	ours.sign("relay")
	renewed := presented()
	if bytes.Equal(first, renewed) {
		t.Error("the old certificate is presented")
	}
	ours.write("relay.pem", nil)
	if !bytes.Equal(presented(), renewed) {
		t.Error("the last valid certificate is not presented")
	}
}

// Only alerts about the client certificate lead to an error about it.
func TestAlerts(t *testing.T) {
	ours := newAuthority(t)
	for name, c := range map[string]struct {
		spoil   func(*tls.Config)
		refused bool
		says    string
	}{
		"no certificate":   {func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, true, "KAFKA_TLS_CERT_FILE"},
		"none, in TLS 1.2": {func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, false, "KAFKA_TLS_CERT_FILE"},
		"version":          {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false, "TLS 1.2"},
		"no common algorithm": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}, false, "TLS 1.2"},
		"broker without one": {func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none yet") }
			c.Certificates = nil
		}, false, "certificate of their own"},
	} {
		server := ours.serverTLS()
		c.spoil(server)
		cfg := Config{TopicConfig: topicNames, ClusterConfig: startCluster(t, 1, kfake.TLS(server))}
		cfg.TLSConfig = TLSConfig{TLS: true, CAFile: ours.file}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := AwaitTopics(ctx, cfg)
		if err == nil || errors.Is(err, errRefused) != c.refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error = %v, want one with %q", name, err, c.says)
		}
	}
}

func TestSecurityConfig(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.sign("relay")
	empty := a.write("empty.pem", nil)
	cluster := func(brokers string, tls TLSConfig, sasl SASLConfig) ClusterConfig {
		return ClusterConfig{Brokers: []string{brokers}, TLSConfig: tls, SASLConfig: sasl}
	}
	near, far := "127.0.0.1:9092", "kafka.example.com:9092"
	login := SASLConfig{Mechanism: scramSHA256, Username: "relay", Password: testPassword}
	for name, c := range map[string]struct {
		ClusterConfig
		wrong string
	}{
		"none":                     {cluster(far, TLSConfig{}, SASLConfig{}), ""},
		"TLS":                      {cluster(far, TLSConfig{TLS: true, CAFile: a.file, CertFile: cert, KeyFile: key}, SASLConfig{}), ""},
		"login":                    {cluster(far, TLSConfig{}, login), ""},
		"file without TLS":         {cluster(far, TLSConfig{CAFile: a.file}, SASLConfig{}), "--kafka-tls"},
		"certificate without key":  {cluster(far, TLSConfig{TLS: true, CertFile: cert}, SASLConfig{}), "KAFKA_TLS_KEY_FILE"},
		"key of another":           {cluster(far, TLSConfig{TLS: true, CertFile: a.file, KeyFile: key}, SASLConfig{}), "KAFKA_TLS_CERT_FILE"},
		"no such file":             {cluster(far, TLSConfig{TLS: true, CAFile: "/does/not/exist"}, SASLConfig{}), "KAFKA_TLS_CA_FILE"},
		"nothing in the file":      {cluster(far, TLSConfig{TLS: true, CAFile: empty}, SASLConfig{}), "no certificate"},
		"unknown mechanism":        {cluster(far, TLSConfig{}, SASLConfig{Mechanism: "GSSAPI", Username: "relay", Password: testPassword}), "KAFKA_SASL_MECHANISM"},
		"user without mechanism":   {cluster(far, TLSConfig{}, SASLConfig{Username: "relay"}), "KAFKA_SASL_MECHANISM"},
		"secret without mechanism": {cluster(far, TLSConfig{}, SASLConfig{Password: testPassword}), "KAFKA_SASL_MECHANISM"},
		"no user":                  {cluster(far, TLSConfig{}, SASLConfig{Mechanism: plain, Password: testPassword}), "KAFKA_SASL"},
		"no password":              {cluster(far, TLSConfig{}, SASLConfig{Mechanism: scramSHA256, Username: "relay"}), "KAFKA_SASL_PASSWORD"},
		"login in a broker":        {cluster("SASL_SSL://relay:"+testPassword+"@kafka:9092", TLSConfig{}, SASLConfig{}), "entry 1"},
		"user before a broker":     {cluster(testPassword+"@kafka:9092", TLSConfig{}, SASLConfig{}), "KAFKA_BROKERS"},
		"PLAIN, here":              {cluster(near, TLSConfig{}, SASLConfig{Mechanism: plain, Username: "relay", Password: testPassword}), ""},
		"PLAIN, elsewhere":         {cluster(far, TLSConfig{}, SASLConfig{Mechanism: plain, Username: "relay", Password: testPassword}), "--kafka-tls"},
		"PLAIN, elsewhere by TLS":  {cluster(far, TLSConfig{TLS: true}, SASLConfig{Mechanism: plain, Username: "relay", Password: testPassword}), ""},
	} {
		err := c.Validate()
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error is %v, want one that says %q", name, err, c.wrong)
		}
		if err != nil && strings.Contains(err.Error(), testPassword) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

// A user may have the right to write to topics, and not to read their settings.
func TestAwaitTopicsWithoutDescribeConfigs(t *testing.T) {
	may := func(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
	}
	cluster := startCluster(t, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser(plain, "admin", "admin"), kfake.SeedTopics(1, topicNames.Names()...),
		kfake.User(scramSHA256, "relay", testPassword,
			may(kmsg.ACLResourceTypeTopic, topicNames.OrdersTopic, kmsg.ACLOperationWrite),
			may(kmsg.ACLResourceTypeTopic, topicNames.DisputesTopic, kmsg.ACLOperationWrite)))
	cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster, CopiesConfig: CopiesConfig{MinCopies: 1}}
	cfg.SASLConfig = SASLConfig{Mechanism: scramSHA256, Username: "relay", Password: testPassword}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if warnings, err := AwaitTopics(ctx, cfg); err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "not known") {
		t.Errorf("AwaitTopics = %q, %v, want two warnings", warnings, err)
	}
}
