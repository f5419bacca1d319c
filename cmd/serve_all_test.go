package cmd

import (
	"errors"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
)

// Who sets up a login or a certificate means a cluster, and not one copy here.
func TestEmbeddedBrokerRefusesSettingsOfACluster(t *testing.T) {
	for name, set := range map[string]func(*transport.ClusterConfig){
		"TLS":         func(c *transport.ClusterConfig) { c.TLS = true },
		"authority":   func(c *transport.ClusterConfig) { c.CAFile = "ca.pem" },
		"certificate": func(c *transport.ClusterConfig) { c.CertFile = "relay.pem" },
		"key":         func(c *transport.ClusterConfig) { c.KeyFile = "relay.key" },
		"mechanism":   func(c *transport.ClusterConfig) { c.Mechanism = "PLAIN" },
		"user":        func(c *transport.ClusterConfig) { c.Username = "relay" },
		"password":    func(c *transport.ClusterConfig) { c.Password = "secret" },
	} {
		cfg := allConfig{wire: transport.Config{Mode: payments.Kafka}}
		set(&cfg.kafka.ClusterConfig)
		if err := cfg.checkKafka(); !errors.Is(err, errEmbeddedIsOpen) {
			t.Errorf("%s: error is %v", name, err)
		}
		cfg.wire.Mode = payments.Direct
		if err := cfg.checkKafka(); err != nil {
			t.Errorf("%s, in a mode without a broker: %v", name, err)
		}
	}
}
