package logging

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// letterMessage is the message of the lines of DeadLetters.
const letterMessage = "dead letter opened"

// DeadLetters logs each dead letter that a commit opened or delivered again, with what an
// operator needs to find its webhook: also its request ID and its trace, if its update is
// one of the commit. What is not known is left out.
func DeadLetters(log *slog.Logger, changes *payments.Changes) {
	for _, letter := range changes.DeadLetters {
		update := updateOf(letter, changes)
		var attrs []slog.Attr
		for _, attr := range []slog.Attr{
			slog.String("reason", payments.DeadLetterReasons.Name(letter.Reason)), slog.String("source", letter.Key.Source),
			slog.String("kind", string(letter.Key.Kind)), slog.String("event_id", letter.Key.EventID),
			slog.String("order_id", letter.OrderID), slog.String("dispute_id", letter.DisputeID),
			slog.String("body_sha256", hex.EncodeToString(update.GetBodySha256())),
			slog.String("request_id", update.GetRequestId()), slog.String("trace_id", traceID(update.GetTraceparent())),
		} {
			if attr.Value.String() != "" {
				attrs = append(attrs, attr)
			}
		}
		log.LogAttrs(context.Background(), slog.LevelWarn, letterMessage, attrs...)
	}
}

// updateOf returns the update of a dead letter: of an event in the changes or, if it has
// none, in its payload. It returns nil if there is none.
func updateOf(letter *payments.DeadLetter, changes *payments.Changes) *payrelayv1.Update {
	for _, events := range [][]*payments.Event{changes.Events, changes.Revised} {
		for _, e := range events {
			if e.Key == letter.Key && e.Facts == letter.Digest {
				return e.Update
			}
		}
	}
	update := new(payrelayv1.Update)
	if proto.Unmarshal(letter.Payload, update) != nil || update.GetProvider() == "" {
		return nil // a Kafka record that is not an update, which can parse as one by accident
	}
	return update
}

// traceID returns the ID of the trace in a W3C traceparent, or nothing.
func traceID(traceparent string) string {
	const begin, end = len("00-"), len("00-") + 32
	if len(traceparent) < end {
		return ""
	}
	return traceparent[begin:end]
}

// Batches returns an Applier that calls next and logs one line for each batch: at Info if
// it has dead letters, and otherwise at Debug. Its caller logs errors.
func Batches(log *slog.Logger, stage string, next payments.Applier) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		start := time.Now()
		outcomes, err := next.Apply(ctx, updates)
		if err != nil {
			return outcomes, err
		}
		dead := 0
		for _, outcome := range outcomes {
			if outcome.GetVerdict() == payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
				dead++
			}
		}
		level := slog.LevelDebug
		if dead > 0 {
			level = slog.LevelInfo
		}
		if log.Enabled(ctx, level) {
			log.LogAttrs(ctx, level, "batch applied", slog.String("stage", stage), slog.Int("updates", len(updates)),
				slog.Int("dead_letters", dead), slog.Duration("duration", time.Since(start)))
		}
		return outcomes, nil
	})
}
