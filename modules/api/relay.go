// Package api is the api role: it takes updates from the ingest role on an
// internal listener and shows orders and disputes to people on a public one.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// applyTimeout bounds a call whose caller set no deadline. It is shorter than
// the listener's write timeout, so that there is an answer.
const applyTimeout = 15 * time.Second

// Relay is the far side of every transport that calls: it implements the
// generated RelayService for all RPC protocols, and the REST routes call it too.
type Relay struct {
	next payments.Applier
	log  *slog.Logger
}

// NewRelay returns a Relay that hands well-formed updates to next.
func NewRelay(next payments.Applier, log *slog.Logger) *Relay {
	return &Relay{next: next, log: log}
}

// ApplyUpdate applies one update. Errors are as for ApplyUpdates.
func (r *Relay) ApplyUpdate(ctx context.Context, req *payrelayv1.ApplyUpdateRequest) (*payrelayv1.ApplyUpdateResponse, error) {
	outcomes, err := r.apply(ctx, []*payrelayv1.Update{req.GetUpdate()})
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ApplyUpdateResponse{Outcome: outcomes[0]}, nil
}

// ApplyUpdates applies a batch. The error is invalid_argument when any update is
// malformed, and then nothing is applied; otherwise it is unavailable or
// deadline_exceeded, and the whole call has to be made again.
func (r *Relay) ApplyUpdates(ctx context.Context, req *payrelayv1.ApplyUpdatesRequest) (*payrelayv1.ApplyUpdatesResponse, error) {
	outcomes, err := r.apply(ctx, req.GetUpdates())
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ApplyUpdatesResponse{Outcomes: outcomes}, nil
}

func (r *Relay) apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	if err := validate(updates); err != nil {
		return nil, err
	}
	if len(updates) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	outcomes, err := r.next.Apply(ctx, updates)
	if err == nil && len(outcomes) != len(updates) {
		err = fmt.Errorf("%d outcomes for %d updates", len(outcomes), len(updates))
	}
	if err != nil {
		return nil, r.unknown(ctx, len(updates), err)
	}
	return outcomes, nil
}

// validate returns an invalid_argument error if any of the updates is malformed.
func validate(updates []*payrelayv1.Update) error {
	for i, update := range updates {
		err := payments.Validate(update)
		if err == nil {
			continue
		}
		if len(updates) > 1 {
			err = &Error{describe(err).code, payments.ErrorMessage(fmt.Sprintf("updates[%d]: %v", i, err))}
		}
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}

// unknown tells the caller to send the call again, and the log why: what a
// database says about itself is not for others.
func (r *Relay) unknown(ctx context.Context, updates int, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return rpcError(context.DeadlineExceeded)
	}
	r.log.Warn("updates could not be applied and will be sent again", "updates", updates, "error", err)
	return rpcError(&Error{codeUnavailable, "the updates could not be stored and their outcome is not known: send the same again"})
}
