package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestEnsureTopics(t *testing.T) {
	_, cfg := startKafka(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := EnsureTopics(ctx, cfg); err != nil {
		t.Errorf("both topics exist, but: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cfg.DisputesTopic = "nothing"
	_, err := EnsureTopics(ctx, cfg)
	if err == nil || !strings.Contains(err.Error(), `topic "nothing" does not exist`) || !strings.Contains(err.Error(), "create it") {
		t.Errorf("error is %v", err)
	}
	// Asking must not have created it.
	if _, err := EnsureTopics(ctx, cfg); err == nil {
		t.Error("the topic sprang up")
	}
}

func TestEnsureTopicsWaitsForTheBrokers(t *testing.T) {
	b, cfg := startKafka(t)
	b.kill()
	checked := make(chan error, 1)
	go func() {
		_, err := EnsureTopics(t.Context(), cfg)
		checked <- err
	}()
	b.revive()
	if err := <-checked; err != nil {
		t.Errorf("error is %v", err)
	}
}

func TestEnsureTopicsEndsWithItsCaller(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // connects, by its backlog, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	_, cfg := startKafka(t)
	cfg.Brokers = []string{frozen.Addr().String()}
	ctx, cancel := context.WithCancel(t.Context())
	checked := make(chan error, 1)
	go func() {
		_, err := EnsureTopics(ctx, cfg)
		checked <- err
	}()
	conn, err := frozen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil { // it has begun to ask
		t.Fatal(err)
	}
	begin := time.Now()
	cancel()
	err = <-checked
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), cfg.Brokers[0]) || took > time.Second {
		t.Errorf("after %v EnsureTopics returned %v", took, err)
	}
}

func TestEnsureTopicsWantsCopies(t *testing.T) {
	cluster := startCluster(t, 3)
	spec := defaultSpec()
	spec.MinInSync = 1
	if _, err := CreateTopics(t.Context(), cluster, topicNames, spec); err != nil {
		t.Fatal(err)
	}
	for copies, accepted := range map[int]bool{0: true, 1: true, 2: false} {
		cfg := KafkaConfig{TopicConfig: topicNames, ClusterConfig: cluster, CopiesConfig: CopiesConfig{copies}}
		begin := time.Now()
		warnings, err := EnsureTopics(t.Context(), cfg)
		if (err == nil) != accepted || time.Since(begin) > 10*time.Second {
			t.Errorf("%d copies: %v after %v", copies, err, time.Since(begin))
		}
		if accepted && (len(warnings) != 2 || !strings.Contains(warnings[0], "that broker's disk")) {
			t.Errorf("%d copies: the log says %q", copies, warnings)
		}
		if !accepted && !strings.Contains(err.Error(), minInSyncReplicas) {
			t.Errorf("the error does not say how to mend it: %v", err)
		}
	}
}

// An embedded broker of an earlier release does not tell how topics are kept.
func TestEnsureTopicsOfBrokersThatDoNotTell(t *testing.T) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.DescribeConfigs.Int16(), -1) // takes it away
	cluster := startCluster(t, 1, kfake.MaxVersions(versions), kfake.SeedTopics(1, topicNames.Names()...))
	cfg := KafkaConfig{TopicConfig: topicNames, ClusterConfig: cluster, CopiesConfig: CopiesConfig{MinCopies: 1}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if warnings, err := EnsureTopics(ctx, cfg); err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "nobody knows") {
		t.Errorf("warnings are %q, %v", warnings, err)
	}
	cfg.MinCopies = 2
	if _, err := EnsureTopics(ctx, cfg); err == nil {
		t.Error("two copies are taken for granted")
	}
}
