package cmd

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// ingestConfig is what the role at the edge needs to know.
type ingestConfig struct {
	ingest ingest.Config
	wire   transport.Config
	retry  transport.RetryConfig
	rpc    transport.RPCConfig
	kafka  kafka.Config
}

// lanes are how many calls to the api role are under way at once when webhooks
// share them: two measured best at 16, 64 and 256 concurrent webhooks.
const lanes = 2

// addIngest adds the role at the edge: the wire, what makes it resilient, and
// the listener for webhooks. direct is the far side of mode direct.
func (p *process) addIngest(ctx context.Context, cfg ingestConfig, direct payments.Applier) error {
	wire, err := p.addWire(ctx, cfg, direct)
	if err != nil {
		return err
	}
	if cfg.wire.Batch && cfg.wire.Mode.RPC() {
		batcher := batch.New(wire, laneBatch(cfg.retry.Timeout))
		p.closeLater(ctx, "lanes", func() error { batcher.Close(); return nil })
		wire = batcher
	}
	cfg.ingest.Wrap = func(next http.Handler) http.Handler { return p.admin.HTTP("ingest", next) }
	server, err := ingest.New(cfg.ingest, p.admin.Instrument("ingest", wire), p.log)
	if err != nil {
		return err
	}
	p.crew.start(ctx, "ingest listener", server.Run)
	p.listens("ingest", "http://"+server.Addr(), "POST "+strings.Join(ingest.Paths(), ", "))
	return nil
}

// laneBatch groups webhooks into calls as group commit groups them into
// transactions. A call's own deadline is the wire's; the lane's only guards
// against one that ignores it.
func laneBatch(timeout time.Duration) batch.Config {
	return batch.Config{
		Shards:          lanes,
		MaxBatch:        512,
		MaxWaitingBytes: 32 << 20,
		Timeout:         timeout + time.Second,
		Divide:          transport.Divides,
	}
}

// addWire makes the client of the mode, with deadline, retries and breaker.
func (p *process) addWire(ctx context.Context, cfg ingestConfig, direct payments.Applier) (payments.Applier, error) {
	switch cfg.wire.Mode {
	case payments.Direct:
		return transport.Deadline(transport.NewDirect(direct), cfg.retry.Timeout), nil
	case payments.Kafka:
		cfg.kafka.Unary = !cfg.wire.Batch
		producer, err := kafka.NewProducer(cfg.kafka)
		if err != nil {
			return nil, err
		}
		p.closeLater(ctx, "producer", producer.Close)
		return p.guard(producer, cfg.retry), nil
	default:
		cfg.rpc.Unary = !cfg.wire.Batch
		client, err := transport.NewRPC(cfg.wire.Mode, cfg.rpc)
		if err != nil {
			return nil, err
		}
		p.closeLater(ctx, "client", client.Close)
		return p.guard(client, cfg.retry), nil
	}
}

// guard makes a wire resilient. While its circuit is open the process is not
// ready: a load balancer may know one whose wire works.
func (p *process) guard(wire payments.Applier, cfg transport.RetryConfig) payments.Applier {
	circuit := transport.Resilient(wire, cfg, p.log)
	p.admin.AddCheck("wire", circuit.Check)
	return circuit
}
