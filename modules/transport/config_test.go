package transport

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
	new(RetryConfig).RegisterFlags(fs)
	new(RPCConfig).RegisterFlags(fs)
	new(KafkaConfig).RegisterFlags(fs)
	want := map[string]string{
		"mode": "WEBHOOK_MODE", "batch": "WEBHOOK_BATCH",
		"api-http2": "API_HTTP2", "api-url": "API_BASE_URL", "api-timeout": "API_TIMEOUT", "api-retry-attempts": "API_RETRY_ATTEMPTS",
		"api-retry-base-delay": "API_RETRY_BASE_DELAY", "api-retry-max-delay": "API_RETRY_MAX_DELAY",
		"kafka-brokers": "KAFKA_BROKERS", "kafka-orders-topic": "KAFKA_ORDERS_TOPIC", "kafka-disputes-topic": "KAFKA_DISPUTES_TOPIC",
		"kafka-group": "KAFKA_CONSUMER_GROUP", "kafka-instance-id": "KAFKA_INSTANCE_ID", "kafka-min-copies": "KAFKA_MIN_COPIES",
		"kafka-client-id": "KAFKA_CLIENT_ID", "kafka-tls": "KAFKA_TLS", "kafka-tls-ca-file": "KAFKA_TLS_CA_FILE",
		"kafka-tls-cert-file": "KAFKA_TLS_CERT_FILE", "kafka-tls-key-file": "KAFKA_TLS_KEY_FILE",
		"kafka-sasl-mechanism": "KAFKA_SASL_MECHANISM", "kafka-sasl-username": "KAFKA_SASL_USERNAME",
	}
	got := make(map[string]string)
	fs.VisitAll(func(f *flag.Flag) { got[f.Name], _ = flag.UnquoteUsage(f) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags are %v, want %v", got, want)
	}
}

func TestRetryConfig(t *testing.T) {
	var defaults RetryConfig
	defaults.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	want := RetryConfig{Timeout: 10 * time.Second, Attempts: 3, BaseDelay: 100 * time.Millisecond, MaxDelay: 5 * time.Second}
	if defaults != want {
		t.Errorf("defaults are %+v", defaults)
	}
	if err := defaults.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, spoil := range map[string]func(*RetryConfig){
		"api-timeout":          func(c *RetryConfig) { c.Timeout = 0 },
		"api-retry-attempts":   func(c *RetryConfig) { c.Attempts = 0 },
		"api-retry-base-delay": func(c *RetryConfig) { c.BaseDelay = -1 },
		"api-retry-max-delay":  func(c *RetryConfig) { c.MaxDelay = time.Millisecond },
	} {
		cfg := defaults
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestRPCConfig(t *testing.T) {
	var defaults RPCConfig
	defaults.RegisterFlags(flag.NewFlagSet("test", flag.ContinueOnError))
	if err := defaults.Validate(); err != nil || defaults.URL != "http://127.0.0.1:3002" {
		t.Errorf("defaults are %+v, %v", defaults, err)
	}
	for url, valid := range map[string]bool{
		"https://api.internal:3002": true, "http://[::1]:3002/": true, "http://api/prefix": true,
		"": false, "127.0.0.1:3002": false, "ftp://api": false, "http://": false, "http://a b": false,
		"http://user:secret@api": false, "http://api?x=1": false, "http://api#x": false,
	} {
		if err := (RPCConfig{URL: url, Token: testToken}).Validate(); (err == nil) != valid {
			t.Errorf("%q: %v", url, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestRPCConfigWantsATokenForAnotherMachine(t *testing.T) {
	for url, open := range map[string]bool{
		"http://127.0.0.1:3002": true, "http://[::1]:3002": true, "http://localhost:3002": true,
		"http://10.1.2.3:3002": false, "http://api:3002": false, "https://127.0.0.1.example.com": false,
	} {
		if err := (RPCConfig{URL: url}).Validate(); (err == nil) != open {
			t.Errorf("%q without a token: %v", url, err)
		}
		if err := (RPCConfig{URL: url, Token: testToken}).Validate(); err != nil {
			t.Errorf("%q with a token: %v", url, err)
		}
	}
}

func TestKafkaConfig(t *testing.T) {
	var cfg KafkaConfig
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs)
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "KAFKA_BROKERS") {
		t.Errorf("without brokers the error is %v", err)
	}
	if err := fs.Parse([]string{"--kafka-brokers", "old:1", "--kafka-brokers", " a:9092, b:9092,,"}); err != nil {
		t.Fatal(err)
	}
	want := KafkaConfig{ClusterConfig: ClusterConfig{Brokers: []string{"a:9092", "b:9092"}, ClientID: "payrelay"}, CopiesConfig: CopiesConfig{MinCopies: 1}, TopicConfig: topicNames}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("config is %+v", cfg)
	}
	if fs.Lookup("kafka-brokers").Value.String() != "a:9092,b:9092" {
		t.Errorf("the flag shows %s", fs.Lookup("kafka-brokers").Value)
	}
	if err := cfg.Validate(); err != nil {
		t.Errorf("it is refused: %v", err)
	}
	for name, spoil := range map[string]func(*KafkaConfig){
		"KAFKA_BROKERS":        func(c *KafkaConfig) { c.Brokers = []string{"a:9092", "b"} },
		"KAFKA_ORDERS_TOPIC":   func(c *KafkaConfig) { c.OrdersTopic = "" },
		"KAFKA_DISPUTES_TOPIC": func(c *KafkaConfig) { c.DisputesTopic = c.OrdersTopic },
		"KAFKA_CONSUMER_GROUP": func(c *KafkaConfig) { c.Group = "" },
		"KAFKA_MIN_COPIES":     func(c *KafkaConfig) { c.MinCopies = -1 },
	} {
		bad := cfg
		spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestSaramaTakesTheSettings(t *testing.T) {
	for _, unary := range []bool{false, true} {
		cfg := KafkaConfig{Unary: unary, InstanceID: "payrelay-0"}
		if err := must(producerConfig(cfg)).Validate(); err != nil {
			t.Errorf("producer, unary %v: %v", unary, err)
		}
		if err := must(consumerConfig(cfg)).Validate(); err != nil {
			t.Errorf("consumer, unary %v: %v", unary, err)
		}
	}
	c := must(consumerConfig(KafkaConfig{}))
	if c.Net.ReadTimeout <= c.Consumer.Group.Rebalance.Timeout {
		t.Error("joining a group can time out while others still finish their batch")
	}
	if graceTimeout >= c.Consumer.Group.Rebalance.Timeout {
		t.Error("a batch under way can outlast the rebalance")
	}
}

func TestProducerBackoff(t *testing.T) {
	for retry := range 11 {
		d := producerBackoff(retry, 10)
		if d < 100*time.Millisecond || d > time.Second {
			t.Errorf("retry %d waits %v", retry, d)
		}
	}
}
