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
)

// applyTimeout bounds a call whose caller set no deadline. It is shorter than
// the listener's write timeout, so that there is an answer.
const applyTimeout = 15 * time.Second

// Applier takes updates one stage further. Outcome i answers update i; an error
// means that the outcome of the whole batch is not known.
type Applier interface {
	Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}

// Relay is the far side of every transport that calls: it implements the
// generated RelayService for all RPC protocols, and the REST routes call it too.
type Relay struct {
	next  Applier
	check func(*payrelayv1.Update) error
	log   *slog.Logger
}

// NewRelay is a Relay that hands on what check lets through. An error of check
// is shown to the caller.
func NewRelay(next Applier, check func(*payrelayv1.Update) error, log *slog.Logger) *Relay {
	return &Relay{next: next, check: check, log: log}
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
	if err := r.checkAll(updates); err != nil {
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

func (r *Relay) checkAll(updates []*payrelayv1.Update) error {
	for i, update := range updates {
		err := r.checkOne(update)
		if err == nil {
			continue
		}
		if len(updates) > 1 {
			err = &Error{describe(err).code, sentence(fmt.Sprintf("updates[%d]: %v", i, err))}
		}
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}

func (r *Relay) checkOne(update *payrelayv1.Update) error {
	if update == nil {
		return &Error{"field_required", "update is required"}
	}
	err := r.check(update)
	var known coded
	if err != nil && !errors.As(err, &known) {
		return &Error{"invalid_update", sentence(err.Error())}
	}
	return err
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
