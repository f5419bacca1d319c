package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
)

func TestClusterString(t *testing.T) {
	for want, c := range map[string]Cluster{
		"1 broker":                       {Brokers: 1},
		"3 brokers, metadata.version 27": {Brokers: 3, MetadataVersion: 27},
	} {
		if got := c.String(); got != want {
			t.Errorf("String() of %+v = %q, want %q", c, got, want)
		}
	}
}

func TestDescribeApacheKafka(t *testing.T) {
	brokers := servers.Need(t, servers.KafkaVariable)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := DescribeCluster(ctx, ClusterConfig{Brokers: strings.Split(brokers, ",")})
	// 25 is the level of Apache Kafka 4.0.
	if err != nil || c.Brokers != 1 || c.MetadataVersion < 25 {
		t.Errorf("DescribeCluster = %+v, %v, want one broker with a metadata.version", c, err)
	}
}
