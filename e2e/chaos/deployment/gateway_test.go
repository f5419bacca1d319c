package deployment

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestGateway: a client that connects by a link stays on it, although the broker
// returns its own address.
func TestGateway(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	broker := cluster.ListenAddrs()[0]
	links := make(map[string]string)
	g, err := startGateway(broker, links)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	l := newLink("client", "broker")
	defer l.disable()
	addr, err := l.add(g.addr())
	if err != nil {
		t.Fatal(err)
	}
	links[broker] = addr
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("topic"), kgo.ConsumerGroup("group"),
		kgo.Dialer(func(ctx context.Context, network, to string) (net.Conn, error) {
			if to != addr {
				t.Errorf("the client dialed %s, want only %s", to, addr)
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "topic", Value: []byte("value")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	records := client.PollFetches(ctx).Records()
	if len(records) != 1 || string(records[0].Value) != "value" {
		t.Errorf("records = %v, want one with the value that was produced", records)
	}
}
