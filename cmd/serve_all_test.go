package cmd

import (
	"errors"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// TestEmbeddedBrokerRefusesSettingsOfACluster checks that a login or a certificate,
// which only a cluster can need, does not start the embedded broker.
func TestEmbeddedBrokerRefusesSettingsOfACluster(t *testing.T) {
	for name, set := range map[string]func(*kafka.ClusterConfig){
		"TLS":         func(c *kafka.ClusterConfig) { c.TLS = true },
		"authority":   func(c *kafka.ClusterConfig) { c.CAFile = "ca.pem" },
		"certificate": func(c *kafka.ClusterConfig) { c.CertFile = "relay.pem" },
		"key":         func(c *kafka.ClusterConfig) { c.KeyFile = "relay.key" },
		"mechanism":   func(c *kafka.ClusterConfig) { c.Mechanism = "PLAIN" },
		"user":        func(c *kafka.ClusterConfig) { c.Username = "relay" },
		"password":    func(c *kafka.ClusterConfig) { c.Password = "secret" },
	} {
		cfg := allConfig{wire: transport.Config{Mode: payments.Kafka}}
		set(&cfg.kafka.ClusterConfig)
		if err := cfg.checkKafka(); !errors.Is(err, errEmbeddedIsOpen) {
			t.Errorf("%s: checkKafka = %v, want %v", name, err, errEmbeddedIsOpen)
		}
		cfg.wire.Mode = payments.Direct
		if err := cfg.checkKafka(); err != nil {
			t.Errorf("%s, in a mode without a broker: checkKafka = %v, want nil", name, err)
		}
	}
}
