package api

import (
	"context"
	"errors"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// GetBody returns the body of a webhook after it has recorded in the audit log who reads
// it.
func (o *Operator) GetBody(ctx context.Context, req *payrelayv1.GetBodyRequest) (*payrelayv1.GetBodyResponse, error) {
	var in checks
	key := payments.Key{Source: req.GetSource(), Kind: payments.Kind(req.GetKind()), EventID: req.GetEventId()}
	switch byKey := key != (payments.Key{}); {
	case req.GetDeadLetterId() != 0 && byKey:
		in.refuse("invalid_selection", "the request has dead_letter_id and the key of an event: send one of them")
	case !byKey:
		in.letterID("dead_letter_id", req.GetDeadLetterId())
	default:
		in.id("source", key.Source)
		in.id("event_id", key.EventID)
		in.id("kind", string(key.Kind))
		in.oneOf("kind", "kind", []string{string(key.Kind)}, kinds)
	}
	who, why := o.decision(ctx, &in, req.GetDecision(), false)
	if err := in.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	target, orderID := key.Target(0), ""
	body, err := read(ctx, o.log, "GetBody", func(ctx context.Context, id int64) ([]byte, error) {
		if id == 0 {
			body, order, err := o.store.Body(ctx, key)
			orderID = order
			return body, err
		}
		letter, err := o.store.DeadLetter(ctx, id)
		if err != nil {
			return nil, err
		}
		target, orderID = letter.Key.Target(id), letter.OrderID
		return o.bodyOf(ctx, letter)
	}, req.GetDeadLetterId())
	if err != nil {
		return nil, err
	}
	entry := &payments.AuditEntry{
		At: time.Now().UTC().Truncate(time.Microsecond), Who: who, Action: payments.ActionReadBody, Target: payments.PlainText(target), OrderID: orderID, Why: why,
	}
	if err := o.store.Commit(ctx, &payments.Changes{Audit: []*payments.AuditEntry{entry}}); err != nil {
		return nil, o.failed(ctx, string(entry.Action), err, false)
	}
	o.log.InfoContext(ctx, "an operator acted", "who", who, "action", entry.Action, "target", entry.Target, "why", why, "request_id", requestIDOf(ctx))
	return &payrelayv1.GetBodyResponse{Body: body}, nil
}

// bodyOf returns the body of a dead letter: its own, that of its event, or the value of a
// Kafka record that is not an update.
func (o *Operator) bodyOf(ctx context.Context, letter *payments.DeadLetter) ([]byte, error) {
	update := letterUpdate(letter)
	switch {
	case update == nil:
		return letter.Payload, nil
	case len(update.GetRawBody()) > 0 || letter.Key.Kind == "":
		return update.GetRawBody(), nil
	}
	body, _, err := o.store.Body(ctx, letter.Key)
	if errors.Is(err, payments.ErrNotFound) {
		return nil, nil // the update came without a body
	}
	return body, err
}
