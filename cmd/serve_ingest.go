package cmd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/tracing"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// ingestConfig configures the ingest role.
type ingestConfig struct {
	door   door.Config
	ingest ingest.Config
	wire   transport.Config
	retry  transport.RetryConfig
	rpc    transport.RPCConfig
	kafka  kafka.Config
}

type serveIngestConfig struct {
	ingestConfig
	log      logConfig
	proxies  door.Proxies
	admin    adminConfig
	token    tokenConfig
	password passwordConfig
}

func newServeIngest() *cobra.Command {
	var cfg serveIngestConfig
	command := &cobra.Command{
		Use:   "ingest",
		Short: "Run the ingest role, which receives webhooks and relays them to the api role",
		Args:  noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.serve(command.Context(), command.OutOrStdout())
		},
	}
	register(command, &cfg.wire, listens{&cfg.door, door.Ingest}, &cfg.ingest, withDefault{&cfg.admin, "127.0.0.1:3004"}, &cfg.rpc, &cfg.retry, &cfg.kafka, &cfg.token, &cfg.password, &cfg.proxies, &cfg.log)
	return command
}

func (cfg serveIngestConfig) serve(ctx context.Context, out io.Writer) error {
	var err error
	if cfg.kafka.Password, err = cfg.password.password(); err != nil {
		return err
	}
	if err := checkSplit(cfg.wire, cfg.kafka); err != nil {
		return err
	}
	tokens, err := cfg.token.tokens()
	if err != nil {
		return err
	}
	cfg.rpc.Token = firstOf(tokens)
	if err := validate(cfg.door, cfg.admin, cfg.ingest, cfg.retry); err != nil {
		return err
	}
	if cfg.wire.Mode.RPC() {
		if err := cfg.rpc.Validate(); err != nil {
			return err
		}
	}
	build := func(ctx context.Context, p *process) error {
		p.proxies = cfg.proxies
		if err := p.addAdmin(ctx, cfg.admin); err != nil {
			return err
		}
		if cfg.wire.Mode == payments.Kafka {
			if err := p.awaitTopics(ctx, cfg.kafka); err != nil {
				return err
			}
		}
		return cfg.add(ctx, p, nil)
	}
	return runProcess(ctx, cfg.log, ingestGCPercent, build, func(p *process) {
		p.introduce(out, fmt.Sprintf("payrelay ingest is ready: mode %s", cfg.wire.Mode))
	})
}

// lanes is the number of calls to the api role that are in flight at once when
// webhooks share calls: 2 measured best at 16, 64 and 256 concurrent webhooks.
const lanes = 2

// laneBatch groups webhooks into calls as group commit groups updates into
// transactions. The deadline of a call is that of the wire; Timeout only guards
// against a wire that ignores it.
func laneBatch(timeout time.Duration) batch.Config {
	return batch.Config{
		Shards:          lanes,
		MaxBatch:        512,
		MaxWaitingBytes: 32 << 20,
		Timeout:         timeout + time.Second,
		Divide:          transport.Divides,
	}
}

// add adds the ingest role to a process: the wire of the mode, its resilience,
// and the listener for webhooks. In mode direct the updates go to direct.
func (cfg ingestConfig) add(ctx context.Context, p *process, direct payments.Applier) error {
	wire, err := cfg.addWire(ctx, p, direct)
	if err != nil {
		return err
	}
	if cfg.wire.Batch && cfg.wire.Mode.RPC() {
		batcher := batch.New(p.tracer.Call(wire), laneBatch(cfg.retry.Timeout))
		p.closeLater(ctx, "lanes", func() error { batcher.Close(); return nil })
		wire = batcher
	}
	cfg.ingest.Trace = traceWebhooks(p.tracer)
	cfg.ingest.Observe = countWebhooks(p.admin)
	entrance, err := p.openDoor(ctx, cfg.door, nil)
	if err != nil {
		return err
	}
	cfg.ingest.Wrap = func(next http.Handler) http.Handler { return p.admin.HTTP("ingest", entrance.Wrap(next)) }
	server, err := ingest.New(cfg.ingest, entrance.Listener(), p.admin.Instrument("ingest", p.tracer.Relay(cfg.wire.Mode, wire)), entrance.Log())
	if err != nil {
		return err
	}
	p.onHangup(server.Reload)
	p.admin.Handle("GET /webhooks", server.Tail())
	p.admin.AddGauges("payrelay_unsigned_source", "Sources whose webhooks are not verified. The value is always 1.", []string{"source"},
		func(show func(float64, ...string)) {
			for _, source := range server.Unsigned() {
				show(1, source)
			}
		})
	if cfg.ingest.InsecureNoSignature {
		p.log.Warn("webhooks of these sources are NOT VERIFIED, because of --insecure-no-signature: anyone who reaches the address can change orders", "sources", server.Unsigned())
	}
	p.start(ctx, "ingest listener", server.Run)
	p.listens("ingest", entrance.URL(), "POST "+strings.Join(server.Paths(), ", "))
	return nil
}

// traceWebhooks returns a function that begins the trace of a webhook, or nil if there are
// no traces.
func traceWebhooks(by *tracing.Tracer) func(*http.Request, string) (context.Context, ingest.Span) {
	if by == nil {
		return nil
	}
	return func(r *http.Request, source string) (context.Context, ingest.Span) {
		ctx, webhook := by.Begin(r, source)
		return ctx, ingest.Span{Traceparent: webhook.Traceparent(), End: func(seen *ingest.Observation) {
			webhook.End(tracing.Answered{RequestID: seen.RequestID, EventID: seen.EventID, OrderID: seen.OrderID, Verdict: seen.Verdict, Refusal: seen.Refusal, Status: seen.Status})
		}}
	}
}

// countWebhooks returns a function that counts the webhooks of each source.
func countWebhooks(to *admin.Server) func(*ingest.Observation) {
	answered := to.AddCounter("payrelay_webhooks_total", "Webhooks of a source that were answered: accepted, or the code of the refusal.", "source", "result")
	verified := to.AddCounter("payrelay_webhooks_verified_total", "Webhooks that were accepted, by the position of the secret that signed them.", "source", "secret")
	return func(seen *ingest.Observation) {
		if seen.Refusal != "" {
			answered(seen.Source, seen.Refusal)
			return
		}
		answered(seen.Source, "accepted")
		verified(seen.Source, strconv.Itoa(seen.Secret+1))
	}
}

// addWire adds the client of the mode and returns it with deadline, retries and
// circuit breaker. The process is not ready while the circuit is open, so that a
// load balancer can prefer a process whose wire works.
func (cfg ingestConfig) addWire(ctx context.Context, p *process, direct payments.Applier) (payments.Applier, error) {
	var client interface {
		payments.Applier
		Close() error
	}
	var err error
	switch cfg.wire.Mode {
	case payments.Direct:
		return transport.Deadline(transport.NewDirect(direct), cfg.retry.Timeout), nil
	case payments.Kafka:
		cfg.kafka.Unary = !cfg.wire.Batch
		client, err = kafka.NewProducer(cfg.kafka)
	default:
		cfg.rpc.Unary, cfg.rpc.Log = !cfg.wire.Batch, p.log
		if cfg.rpc.Interceptors, err = p.tracer.Interceptors(); err != nil {
			return nil, err
		}
		client, err = transport.NewRPC(cfg.wire.Mode, cfg.rpc)
	}
	if err != nil {
		return nil, err
	}
	p.closeLater(ctx, "client", client.Close)
	circuit := transport.Resilient(client, cfg.retry, p.log)
	p.admin.AddCheck("wire", circuit.Check)
	return circuit, nil
}
