package kafka

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

func TestAwaitTopics(t *testing.T) {
	_, cfg := startKafka(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := AwaitTopics(ctx, cfg); err != nil {
		t.Errorf("AwaitTopics with both topics = %v", err)
	}
	cfg.DisputesTopic = "nothing"
	for range 2 { // the question must not create the topic
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := AwaitTopics(ctx, cfg)
		if err == nil || !strings.Contains(err.Error(), `topic "nothing" does not exist`) || !strings.Contains(err.Error(), "create it") {
			t.Errorf("AwaitTopics without a topic = %v, want an error that says how to create it", err)
		}
	}
}

// tardy ends 200 ms after its deadline. Every context ends a moment after it, in which
// a dial with that deadline can fail.
type tardy struct{ context.Context }

func (c tardy) Deadline() (time.Time, bool) {
	deadline, ok := c.Context.Deadline()
	return deadline.Add(-200 * time.Millisecond), ok
}

func TestAwaitTopicsReturnsTheErrorBeforeTheDeadline(t *testing.T) {
	_, cfg := startKafka(t)
	cfg.DisputesTopic = "nothing"
	ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
	defer cancel()
	_, err := AwaitTopics(tardy{ctx}, cfg)
	if !errors.Is(err, ErrNoTopic) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("AwaitTopics = %v, want %v and the deadline", err, ErrNoTopic)
	}
}

func TestAwaitTopicsWaitsForTheBrokers(t *testing.T) {
	b, cfg := startKafka(t)
	b.kill()
	checked := make(chan error, 1)
	go func() {
		_, err := AwaitTopics(t.Context(), cfg)
		checked <- err
	}()
	b.revive()
	if err := <-checked; err != nil {
		t.Errorf("AwaitTopics = %v", err)
	}
}

func TestAwaitTopicsEndsWithItsCaller(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections by its backlog, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	_, cfg := startKafka(t)
	cfg.Brokers = []string{frozen.Addr().String()}
	ctx, cancel := context.WithCancel(t.Context())
	checked := make(chan error, 1)
	go func() {
		_, err := AwaitTopics(ctx, cfg)
		checked <- err
	}()
	conn, err := frozen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil { // AwaitTopics has sent a request
		t.Fatal(err)
	}
	begin := time.Now()
	cancel()
	err = <-checked
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), cfg.Brokers[0]) || took > time.Second {
		t.Errorf("AwaitTopics = %v after %v, want an error that names the broker at once", err, took)
	}
}

func TestAwaitTopicsWantsCopies(t *testing.T) {
	cluster := startCluster(t, 3)
	settings := safe()
	settings[SettingMinInSyncReplicas] = "1"
	createTopics(t, Config{TopicConfig: topicNames, ClusterConfig: cluster}, 12, 3, settings)
	for copies, accepted := range map[int]bool{0: true, 1: true, 2: false} {
		cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster, CopiesConfig: CopiesConfig{copies}}
		begin := time.Now()
		warnings, err := AwaitTopics(t.Context(), cfg)
		if (err == nil) != accepted || time.Since(begin) > 10*time.Second {
			t.Errorf("%d copies: AwaitTopics = %v after %v", copies, err, time.Since(begin))
		}
		if accepted && (len(warnings) != 2 || !strings.Contains(warnings[0], "that broker's disk")) {
			t.Errorf("%d copies: warnings = %q", copies, warnings)
		}
		if !accepted && !strings.Contains(err.Error(), SettingMinInSyncReplicas) {
			t.Errorf("the error does not say what to change: %v", err)
		}
	}
}

// An embedded broker of an earlier release does not return the settings of topics.
func TestAwaitTopicsWithoutSettings(t *testing.T) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.DescribeConfigs.Int16(), -1) // removes it
	cluster := startCluster(t, 1, kfake.MaxVersions(versions), kfake.SeedTopics(1, topicNames.Names()...))
	cfg := Config{TopicConfig: topicNames, ClusterConfig: cluster, CopiesConfig: CopiesConfig{MinCopies: 1}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if warnings, err := AwaitTopics(ctx, cfg); err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "not known") {
		t.Errorf("AwaitTopics = %q, %v, want two warnings", warnings, err)
	}
	cfg.MinCopies = 2
	if _, err := AwaitTopics(ctx, cfg); !errors.Is(err, errFewCopies) || ctx.Err() != nil {
		t.Errorf("AwaitTopics with two copies = %v, want %v at once", err, errFewCopies)
	}
}

// Some brokers lack one of the settings.
func TestAwaitTopicsWithoutOneSetting(t *testing.T) {
	settings, lacking := safe(), ""
	cluster := newCluster(t, 3)
	cfg := Config{TopicConfig: topicNames, ClusterConfig: ClusterConfig{Brokers: cluster.ListenAddrs()}}
	createTopics(t, cfg, 12, 3, settings)
	cluster.ControlKey(kmsg.DescribeConfigs.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return describedWithout(request.(*kmsg.DescribeConfigsRequest), settings, lacking), nil, true
	})
	for lacking = range settings {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		cfg.MinCopies = 1
		if warnings, err := AwaitTopics(ctx, cfg); err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "not known") || !strings.Contains(warnings[0], lacking) {
			t.Errorf("without %s: AwaitTopics = %q, %v, want two warnings", lacking, warnings, err)
		}
		cfg.MinCopies = 2
		if _, err := AwaitTopics(ctx, cfg); err == nil || !strings.Contains(err.Error(), lacking) || ctx.Err() != nil {
			t.Errorf("without %s: AwaitTopics with two copies = %v, want an error at once", lacking, err)
		}
	}
}

func describedWithout(request *kmsg.DescribeConfigsRequest, settings map[string]string, lacking string) kmsg.Response {
	response := request.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, asked := range request.Resources {
		resource := kmsg.NewDescribeConfigsResponseResource()
		resource.ResourceType, resource.ResourceName = asked.ResourceType, asked.ResourceName
		for name, value := range settings {
			if name != lacking {
				config := kmsg.NewDescribeConfigsResponseResourceConfig()
				config.Name, config.Value = name, &value
				resource.Configs = append(resource.Configs, config)
			}
		}
		response.Resources = append(response.Resources, resource)
	}
	return response
}
