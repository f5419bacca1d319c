package cmd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
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
	watch  transport.WatchConfig
	rpc    transport.RPCConfig
	kafka  kafka.Config
}

type serveIngestConfig struct {
	ingestConfig
	process  processConfig
	proxies  door.Proxies
	admin    adminConfig
	token    flags.Token
	password flags.Password
}

func newServeIngest() *cobra.Command {
	var cfg serveIngestConfig
	command := &cobra.Command{
		Use:   "ingest",
		Short: "Run the ingest role, which receives webhooks and relays them to the api role",
		Args:  flags.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.serve(command.Context(), command.OutOrStdout())
		},
	}
	flags.Register(command, cfg.registrars()...)
	return command
}

// registrars returns what declares the flags.
func (cfg *serveIngestConfig) registrars() []flags.Registrar {
	return []flags.Registrar{
		&cfg.wire, flags.Listens(&cfg.door, door.Ingest), &cfg.ingest, flags.WithDefault(&cfg.admin, "127.0.0.1:3004"), &cfg.rpc, &cfg.retry, &cfg.watch,
		&cfg.kafka, &cfg.token, &cfg.password, &cfg.proxies, &cfg.process,
	}
}

// prepare reads the secrets and validates the configuration.
func (cfg *serveIngestConfig) prepare() (err error) {
	if cfg.kafka.Password, err = cfg.password.Secret(); err != nil {
		return err
	}
	if err := checkSplit(cfg.wire, cfg.kafka); err != nil {
		return err
	}
	tokens, err := cfg.token.Tokens()
	if err != nil {
		return err
	}
	cfg.rpc.Token = flags.First(tokens)
	if err := validate(cfg.process, cfg.door, cfg.admin, cfg.ingest, cfg.retry, cfg.watch); err != nil {
		return err
	}
	if cfg.wire.Mode.RPC() {
		return cfg.rpc.Validate()
	}
	return nil
}

func (cfg serveIngestConfig) serve(ctx context.Context, out io.Writer) error {
	if err := cfg.prepare(); err != nil {
		return err
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
	return runProcess(ctx, cfg.process, ingestGCPercent, build, func(p *process) {
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
		p.watchQueue("ingest", batcher)
		wire = batcher
	}
	webhooks := p.admin.Webhooks()
	cfg.ingest.Observe = counts(webhooks)
	cfg.ingest.Trace = traceWebhooks(p.tracer)
	entrance, err := p.openDoor(ctx, cfg.door, door.Options{})
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
	webhooks.ShowSources(server.Sources)
	measureSources(p.admin, server)
	p.showSources(webhooks, server)
	if cfg.ingest.InsecureNoSignature {
		p.log.Warn("webhooks of these sources are NOT VERIFIED, because of --insecure-no-signature: anyone who reaches the address can change orders", "sources", server.Unsigned())
	}
	p.start(ctx, "ingest listener", server.Run)
	p.listens("ingest", entrance.URL(), "POST "+strings.Join(server.Paths(), ", "))
	return nil
}

// showSources shows the sources of the ingest role to the api role of the same process.
func (p *process) showSources(webhooks *admin.Webhooks, server *ingest.Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources = func() (all []*payrelayv1.Source) {
		for _, s := range server.Configured() {
			seen := webhooks.Seen(s.Name)
			known := &payrelayv1.Source{Name: s.Name, Provider: s.Provider, Environment: string(s.Environment), Refused: seen.Refused}
			if s.Signed {
				known.Verified = &seen.Verified
			}
			if !seen.Last.IsZero() {
				known.LastSeenAt = timestamppb.New(seen.Last)
			}
			if end := s.SecretEnd(); !end.IsZero() {
				known.SecretExpiresAt = timestamppb.New(end)
			}
			all = append(all, known)
		}
		return all
	}
}

// ownSources returns what the ingest role of this process knows about its sources, or
// nothing without the role.
func (p *process) ownSources() []*payrelayv1.Source {
	p.mu.Lock()
	sources := p.sources
	p.mu.Unlock()
	if sources == nil {
		return nil
	}
	return sources()
}

// traceWebhooks returns a function that begins the trace of a webhook, or nil if there are
// no traces.
func traceWebhooks(by *tracing.Tracer) func(*http.Request, string) (context.Context, ingest.Span) {
	if by == nil {
		return nil
	}
	return func(r *http.Request, source string) (context.Context, ingest.Span) {
		ctx, webhook := by.Begin(r, source)
		if webhook.Traceparent() == "" {
			return ctx, ingest.Span{}
		}
		return ctx, ingest.Span{Traceparent: webhook.Traceparent(), End: func(seen *ingest.Observation) {
			webhook.End(tracing.Answered{RequestID: seen.RequestID, EventID: seen.EventID, OrderID: seen.OrderID, Verdict: seen.Verdict, Refusal: seen.Refusal, Status: seen.Status})
		}}
	}
}

// addWire adds the client of the mode and returns it with deadline, retries and
// circuit breaker. The process is not ready while the circuit is open or the far side is
// away, so that a load balancer can prefer a process whose wire works.
func (cfg ingestConfig) addWire(ctx context.Context, p *process, direct payments.Applier) (payments.Applier, error) {
	if cfg.wire.Mode == payments.Direct {
		return transport.Deadline(transport.NewDirect(direct), cfg.retry.Timeout), nil
	}
	client, err := cfg.client(ctx, p)
	if err != nil {
		return nil, err
	}
	circuit := transport.Resilient(client, cfg.retry, p.log)
	p.admin.AddCheck("wire", "the circuit breaker is open, because calls kept failing", circuit.Check)
	measureCircuit(p.admin, circuit)
	return circuit, nil
}

// client adds the client of a mode that has one, and a watch of its far side.
func (cfg ingestConfig) client(ctx context.Context, p *process) (payments.Applier, error) {
	if cfg.wire.Mode == payments.Kafka {
		cfg.kafka.Unary = !cfg.wire.Batch
		producer, err := kafka.NewProducer(cfg.kafka)
		if err != nil {
			return nil, err
		}
		p.closeLater(ctx, "client", producer.Close)
		return producer, p.watchKafka(ctx, cfg.watch, cfg.kafka)
	}
	cfg.rpc.Unary, cfg.rpc.Log = !cfg.wire.Batch, p.log
	var err error
	if cfg.rpc.Interceptors, err = p.tracer.Interceptors(); err != nil {
		return nil, err
	}
	calls, err := transport.NewRPC(cfg.wire.Mode, cfg.rpc)
	if err != nil {
		return nil, err
	}
	p.closeLater(ctx, "client", calls.Close)
	p.watch(ctx, "api", "the api role does not answer", cfg.watch, calls.Ping)
	return calls, nil
}
