package kafka

import (
	"flag"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFlagsNameTheirEnvironment(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	new(Config).RegisterFlags(fs)
	want := map[string]string{
		"kafka-brokers": "KAFKA_BROKERS", "kafka-orders-topic": "KAFKA_ORDERS_TOPIC", "kafka-disputes-topic": "KAFKA_DISPUTES_TOPIC",
		"kafka-group": "KAFKA_CONSUMER_GROUP", "kafka-instance-id": "KAFKA_INSTANCE_ID", "kafka-min-copies": "KAFKA_MIN_COPIES",
		"kafka-client-id": "KAFKA_CLIENT_ID", "kafka-tls": "KAFKA_TLS", "kafka-tls-ca-file": "KAFKA_TLS_CA_FILE",
		"kafka-tls-cert-file": "KAFKA_TLS_CERT_FILE", "kafka-tls-key-file": "KAFKA_TLS_KEY_FILE",
		"kafka-sasl-mechanism": "KAFKA_SASL_MECHANISM", "kafka-sasl-username": "KAFKA_SASL_USERNAME",
		"kafka-oauth-token-file": "KAFKA_OAUTH_TOKEN_FILE", "kafka-oauth-token-url": "KAFKA_OAUTH_TOKEN_URL", "kafka-oauth-scope": "KAFKA_OAUTH_SCOPE",
		"kafka-aws-region": "KAFKA_AWS_REGION", "kafka-version": "KAFKA_VERSION",
	}
	got := make(map[string]string)
	fs.VisitAll(func(f *flag.Flag) { got[f.Name], _ = flag.UnquoteUsage(f) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags = %v, want %v", got, want)
	}
}

func TestKafkaConfig(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs)
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("Validate() without brokers = %v", err)
	}
	if err := fs.Parse([]string{"--kafka-brokers", "old:1", "--kafka-brokers", " a:9092, b:9092,,"}); err != nil {
		t.Fatal(err)
	}
	want := Config{ClusterConfig: ClusterConfig{Brokers: []string{"a:9092", "b:9092"}, ClientID: "payrelay", Version: defaultVersion}, CopiesConfig: CopiesConfig{MinCopies: 1}, TopicConfig: topicNames}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("config = %+v, want %+v", cfg, want)
	}
	if fs.Lookup("kafka-brokers").Value.String() != "a:9092,b:9092" {
		t.Errorf("the flag shows %s, want a:9092,b:9092", fs.Lookup("kafka-brokers").Value)
	}
	if err := cfg.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"KAFKA_BROKERS":        func(c *Config) { c.Brokers = []string{"a:9092", "b"} },
		"KAFKA_ORDERS_TOPIC":   func(c *Config) { c.OrdersTopic = "" },
		"KAFKA_DISPUTES_TOPIC": func(c *Config) { c.DisputesTopic = c.OrdersTopic },
		"KAFKA_CONSUMER_GROUP": func(c *Config) { c.Group = "" },
		"KAFKA_MIN_COPIES":     func(c *Config) { c.MinCopies = -1 },
	} {
		bad := cfg
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Validate() = %v, want an error that names %s", err, name)
		}
	}
}

func TestSaramaTakesTheSettings(t *testing.T) {
	for _, unary := range []bool{false, true} {
		cfg := Config{Unary: unary, InstanceID: "payrelay-0"}
		if err := must(producerConfig(cfg)).Validate(); err != nil {
			t.Errorf("producer, unary %v: %v", unary, err)
		}
		if err := must(consumerConfig(cfg)).Validate(); err != nil {
			t.Errorf("consumer, unary %v: %v", unary, err)
		}
	}
	c := must(consumerConfig(Config{}))
	if c.Net.ReadTimeout <= c.Consumer.Group.Rebalance.Timeout {
		t.Error("a join can time out while other members finish their batch")
	}
	if graceTimeout >= c.Consumer.Group.Rebalance.Timeout {
		t.Error("a batch under way can outlast the rebalance")
	}
}

func TestProducerBackoff(t *testing.T) {
	for retry := range 11 {
		d := producerBackoff(retry, 10)
		if d < 100*time.Millisecond || d > time.Second {
			t.Errorf("producerBackoff(%d) = %v, want 100ms to 1s", retry, d)
		}
	}
}
