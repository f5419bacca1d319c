package kafka

import (
	"context"
	"crypto/rand"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/e2e/servers"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// startApacheKafka starts a cluster for one test, which may kill it.
func startApacheKafka(t *testing.T, nodes int, more ...servers.Listener) *servers.Kafka {
	t.Helper()
	libs := servers.Need(t, servers.KafkaLibsVariable)[0]
	kafka, err := servers.StartKafka(libs, t.TempDir(), nodes, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	return kafka
}

// newTopics creates topics of three partitions that no other test uses.
func newTopics(t *testing.T, kafka *servers.Kafka) Config {
	t.Helper()
	name := strings.ToLower(rand.Text())
	cfg := Config{
		TopicConfig:   TopicConfig{OrdersTopic: name + ".orders", DisputesTopic: name + ".disputes", Group: name},
		ClusterConfig: ClusterConfig{Brokers: strings.Split(kafka.Brokers(), ",")},
	}
	settings := safe()
	settings[SettingMinInSyncReplicas], settings[SettingRetentionTime] = "1", "-1"
	createTopics(t, cfg, 3, 1, settings)
	return cfg
}

func TestConformanceOnApacheKafka(t *testing.T) {
	kafka := startApacheKafka(t, 1)
	node := kafka.Nodes()[0]
	for shape, unary := range map[string]bool{"batched": false, "unary": true} {
		t.Run(shape, func(t *testing.T) {
			transporttest.Run(t, transporttest.Harness{
				Verdict: payrelayv1.Verdict_VERDICT_QUEUED,
				Open: func(t *testing.T, far *transporttest.FarSide) *transporttest.Link {
					cfg := newTopics(t, kafka)
					cfg.Unary, cfg.InstanceID = unary, "test-0"
					link := linkKafka(t, far, cfg)
					if unary {
						return link // a start of Kafka takes seconds: one shape is enough
					}
					link.Kill = func() {
						if err := node.Kill(); err != nil {
							t.Error(err)
						}
					}
					link.Revive = func() {
						if err := node.Start(); err != nil {
							t.Fatal(err)
						}
					}
					return link
				},
			})
		})
	}
}

// secure returns a listener with TLS that asks for a login.
func secure(a *authority) servers.Listener {
	cert, key := a.sign("127.0.0.1")
	store := a.write("store.pem", slices.Concat(must(os.ReadFile(key)), must(os.ReadFile(cert))))
	const modules = "org.apache.kafka.common.security."
	return servers.Listener{Name: "SECURE", Protocol: "SASL_SSL", Settings: map[string]string{
		"ssl.keystore.type":                         "PEM",
		"ssl.keystore.location":                     store,
		"sasl.enabled.mechanisms":                   strings.Join(mechanisms, ","),
		"plain.sasl.jaas.config":                    modules + `plain.PlainLoginModule required user_relay="` + testPassword + `";`,
		"scram-sha-256.sasl.jaas.config":            modules + "scram.ScramLoginModule required;",
		"scram-sha-512.sasl.jaas.config":            modules + "scram.ScramLoginModule required;",
		"connection.failed.authentication.delay.ms": "100",
	}}
}

// addScramUser adds a user for both kinds of SCRAM.
func addScramUser(t *testing.T, kafka *servers.Kafka, name, password string) {
	t.Helper()
	open := ClusterConfig{Brokers: strings.Split(kafka.Brokers(), ",")}
	err := WithAdmin(t.Context(), open, func(admin sarama.ClusterAdmin) error {
		for _, mechanism := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} {
			_, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
				Name: name, Mechanism: mechanism, Iterations: scramIterations, Salt: []byte("salt of a test"), Password: []byte(password),
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestApacheKafka(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	kafka := startApacheKafka(t, 1, secure(ours))
	addScramUser(t, kafka, "relay", testPassword)
	cfg := newTopics(t, kafka)
	group, guarded := cfg.Group, []string{kafka.Nodes()[0].ListenerAddr("SECURE")}
	cfg.TLSConfig = TLSConfig{TLS: true, CAFile: ours.file}
	for _, mechanism := range mechanisms {
		t.Run(mechanism, func(t *testing.T) {
			cfg := cfg
			cfg.Brokers, cfg.Group = guarded, group+mechanism
			cfg.SASLConfig = SASLConfig{Mechanism: mechanism, Username: "relay", Password: testPassword}
			relays(t, cfg)
			cfg.Password = "hunter2"
			refusedInTheEnd(t, cfg, `user "relay"`, "KAFKA_SASL_PASSWORD", mechanism)
			cfg.Username = "nobody"
			refusedInTheEnd(t, cfg, `user "nobody"`, "KAFKA_SASL_USERNAME")
			cfg.CAFile = theirs.file
			refusedAtOnce(t, cfg, "certificate is refused", "KAFKA_TLS_CA_FILE")
		})
	}
	t.Run("a user created meanwhile", func(t *testing.T) {
		cfg := cfg
		cfg.Brokers = guarded
		cfg.SASLConfig = SASLConfig{Mechanism: scramSHA512, Username: "late", Password: testPassword}
		refusedInTheEnd(t, cfg, `user "late"`)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		started := make(chan error, 1)
		go func() {
			_, err := AwaitTopics(ctx, cfg)
			started <- err
		}()
		addScramUser(t, kafka, "late", testPassword)
		if err := <-started; err != nil {
			t.Errorf("AwaitTopics while its user is created = %v", err)
		}
	})
	t.Run("readable", func(t *testing.T) {
		topicIsReadable(t, newTopics(t, kafka))
	})
	t.Run("committed", func(t *testing.T) {
		readsCommittedRecords(t, newTopics(t, kafka))
	})
	t.Run("fenced", func(t *testing.T) {
		cfg := newTopics(t, kafka)
		fencedMemberTakesOver(t, cfg)
	})
	t.Run("hangs up", func(t *testing.T) {
		for what, c := range map[string]ClusterConfig{
			"plain text on the TLS port": {Brokers: guarded},
			"TLS on the plain port":      {Brokers: []string{kafka.Brokers()}, TLSConfig: cfg.TLSConfig},
			"no login":                   {Brokers: guarded, TLSConfig: cfg.TLSConfig},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := AwaitTopics(ctx, Config{TopicConfig: cfg.TopicConfig, ClusterConfig: c}); err == nil || !strings.Contains(err.Error(), "KAFKA_TLS") {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// A cluster has an id, which each of its brokers reports.
func TestClusterIDOfApacheKafka(t *testing.T) {
	kafka := startApacheKafka(t, 1)
	cfg := newTopics(t, kafka)
	first, err := ClusterID(t.Context(), cfg.ClusterConfig, cfg.TopicConfig)
	if err != nil || first == "" {
		t.Fatalf("ClusterID = %q, %v, want an id", first, err)
	}
	if again, err := ClusterID(t.Context(), cfg.ClusterConfig, cfg.TopicConfig); err != nil || again != first {
		t.Errorf("ClusterID again = %q, %v, want %q", again, err, first)
	}
}
