package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Relay returns an Applier that calls next, the wire of a mode, with a span in the trace of
// the webhook: it includes waiting for a shared call, and retries.
func (t *Tracer) Relay(mode payments.Mode, next payments.Applier) payments.Applier {
	if t == nil {
		return next
	}
	kind := trace.SpanKindInternal
	if mode == payments.Kafka {
		kind = trace.SpanKindProducer
	}
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		if !trace.SpanContextFromContext(ctx).IsSampled() {
			return next.Apply(ctx, updates)
		}
		ctx, span := t.spans.Start(ctx, "relay", trace.WithSpanKind(kind),
			trace.WithAttributes(attribute.String("payrelay.mode", string(mode)), attribute.Int("payrelay.updates", len(updates))))
		outcomes, err := next.Apply(ctx, updates)
		t.end(span, err)
		return outcomes, err
	})
}

// Call returns an Applier that calls next with a span for each call that webhooks share.
func (t *Tracer) Call(next payments.Applier) payments.Applier {
	if t == nil {
		return next
	}
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		members := membersOf(updates)
		if len(members) == 0 {
			return next.Apply(ctx, updates)
		}
		ctx, span := t.batch(ctx, "call", members, len(updates))
		outcomes, err := next.Apply(ctx, updates)
		t.end(span, err)
		return outcomes, err
	})
}

// batch starts the span of a batch.
func (t *Tracer) batch(ctx context.Context, name string, members []member, updates int) (context.Context, trace.Span) {
	links := make([]trace.Link, len(members))
	for i, m := range members {
		links[i] = trace.Link{SpanContext: m.span}
	}
	return t.spans.Start(trace.ContextWithRemoteSpanContext(ctx, members[0].span), name,
		trace.WithLinks(links...), trace.WithAttributes(attribute.Int("payrelay.updates", updates)))
}

// Ledger returns an Applier that calls next, the ledger, with a span for each batch, in
// which [Tracer.Store] adds those of the store. Each traced update gets two spans in the
// trace of its webhook: apply, for the time of the batch, and in it commit, for that of
// the transaction.
func (t *Tracer) Ledger(next payments.Applier) payments.Applier {
	if t == nil {
		return next
	}
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		members := membersOf(updates)
		if len(members) == 0 {
			return next.Apply(ctx, updates)
		}
		ctx, span := t.batch(ctx, "ledger", members, len(updates))
		commit := new(commit)
		began := time.Now()
		outcomes, err := next.Apply(context.WithValue(ctx, commitKey{}, commit), updates)
		t.fail(span, err)
		now := time.Now()
		span.End(trace.WithTimestamp(now))
		for _, m := range members {
			var outcome *payrelayv1.Outcome
			if m.index < len(outcomes) {
				outcome = outcomes[m.index]
			}
			t.applied(m, updates[m.index], outcome, err, trace.Link{SpanContext: span.SpanContext()}, interval{began, now}, commit)
		}
		return outcomes, err
	})
}

type interval struct{ began, ended time.Time }

// commit is the last commit of a batch. A ledger commits in one goroutine.
type commit struct{ interval }

type commitKey struct{}

// applied makes the spans of one update of a batch.
func (t *Tracer) applied(m member, update *payrelayv1.Update, outcome *payrelayv1.Outcome, err error, batch trace.Link, at interval, commit *commit) {
	ctx, span := t.spans.Start(trace.ContextWithRemoteSpanContext(context.Background(), m.span), "apply",
		trace.WithTimestamp(at.began), trace.WithLinks(batch), trace.WithAttributes(
			t.text("payrelay.source", update.GetProvider()), t.text("payrelay.event_id", update.GetEventId()),
			t.text("payrelay.order_id", update.GetOrderId()), attribute.String("payrelay.request_id", update.GetRequestId()),
			attribute.String("payrelay.verdict", payments.Verdicts.Name(outcome.GetVerdict()))))
	if reason := outcome.GetReason(); reason != 0 {
		span.SetAttributes(attribute.String("payrelay.reason", payments.DeadLetterReasons.Name(reason)))
	}
	if !commit.began.IsZero() { // a duplicate commits nothing
		_, committed := t.spans.Start(ctx, "commit", trace.WithTimestamp(commit.began), trace.WithLinks(batch))
		committed.End(trace.WithTimestamp(commit.ended))
	}
	t.fail(span, err)
	span.End(trace.WithTimestamp(at.ended))
}

// Store returns a Store that calls next with a span for each call of a traced batch. system
// is the name of the database.
func (t *Tracer) Store(system string, next payments.Store) payments.Store {
	if t == nil {
		return next
	}
	return &store{next, t, system}
}

type store struct {
	payments.Store
	t      *Tracer
	system string
}

// measure calls work in a span if ctx is traced.
func (s *store) measure(ctx context.Context, operation string, work func(context.Context) error) error {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return work(ctx)
	}
	ctx, span := s.t.spans.Start(ctx, fmt.Sprintf("%s %s", operation, s.system), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", s.system), attribute.String("db.operation.name", operation)))
	err := work(ctx)
	s.t.end(span, err)
	return err
}

func (s *store) Load(ctx context.Context, lookup payments.Lookup) (snapshot *payments.Snapshot, err error) {
	err = s.measure(ctx, "load", func(ctx context.Context) (err error) {
		snapshot, err = s.Store.Load(ctx, lookup)
		return err
	})
	return snapshot, err
}

func (s *store) History(ctx context.Context, of payments.Subjects, limit int) (histories *payments.Histories, err error) {
	err = s.measure(ctx, "history", func(ctx context.Context) (err error) {
		histories, err = s.Store.History(ctx, of, limit)
		return err
	})
	return histories, err
}

func (s *store) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (page *payments.HistoryPage, err error) {
	err = s.measure(ctx, "history page", func(ctx context.Context) (err error) {
		page, err = s.Store.HistoryPage(ctx, of, from, limit)
		return err
	})
	return page, err
}

func (s *store) Commit(ctx context.Context, changes *payments.Changes) error {
	return s.measure(ctx, "commit", func(ctx context.Context) error {
		began := time.Now()
		err := s.Store.Commit(ctx, changes)
		if c, traced := ctx.Value(commitKey{}).(*commit); traced {
			c.interval = interval{began, time.Now()}
		}
		return err
	})
}
