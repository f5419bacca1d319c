// Package api is the api role. Its internal listener takes updates from the ingest
// role, by RPC and by REST, and passes them to the ledger. Its public listener
// serves orders, disputes and their events as JSON to clients of any kind.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/encoding/protojson"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// applyTimeout is the deadline of every call. It is shorter than the write timeout
// of the listener, so that the caller gets an answer.
const applyTimeout = 15 * time.Second

// Relay is the server of every mode that calls the api role: it implements the
// generated RelayService for all RPC protocols and serves the REST routes.
type Relay struct {
	next payments.Applier
	log  *slog.Logger
}

// NewRelay returns a Relay that passes well-formed updates to next.
func NewRelay(next payments.Applier, log *slog.Logger) *Relay {
	return &Relay{next: next, log: log}
}

// ApplyUpdate applies one update. Its errors are those of ApplyUpdates.
func (r *Relay) ApplyUpdate(ctx context.Context, req *payrelayv1.ApplyUpdateRequest) (*payrelayv1.ApplyUpdateResponse, error) {
	outcomes, err := r.apply(ctx, []*payrelayv1.Update{req.GetUpdate()})
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ApplyUpdateResponse{Outcome: outcomes[0]}, nil
}

// ApplyUpdates applies a batch. The error is invalid_argument if an update is not
// well-formed, and then none was applied. Otherwise it is unavailable or
// deadline_exceeded: the outcome of the batch is unknown, and the caller must send
// all of it again.
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
	switch {
	case err == nil:
		return outcomes, nil
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return nil, rpcError(context.DeadlineExceeded)
	default:
		// Only the log has the reason, because callers must not see the errors of a
		// database.
		r.log.WarnContext(ctx, "updates were not applied, the caller must send them again", "updates", len(updates), "error", err)
		return nil, rpcError(&refusal{codeUnavailable, "the updates may not have been stored: send the same request again"})
	}
}

// validate returns an invalid_argument error if an update is not well-formed.
func validate(updates []*payrelayv1.Update) error {
	for i, update := range updates {
		err := payments.Validate(update)
		if err == nil {
			continue
		}
		if len(updates) > 1 {
			err = &refusal{describe(err).code, payments.ErrorMessage(fmt.Sprintf("updates[%d]: %v", i, err))}
		}
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}

// mountREST adds the routes that apply a single update in the JSON form of
// Protobuf, for use without an RPC client. They call the methods of the RPC service.
func mountREST(e *echo.Echo, relay *Relay) {
	e.POST("/internal/updates/orders", applyREST(relay, "order", func(u *payrelayv1.Update) bool { return u.GetOrder() != nil }))
	e.POST("/internal/updates/disputes", applyREST(relay, "dispute", func(u *payrelayv1.Update) bool { return u.GetDispute() != nil }))
	e.POST("/internal/updates/notes", applyREST(relay, "note", func(u *payrelayv1.Update) bool { return u.GetNote() != nil }))
}

// applyREST returns the handler of a path whose updates must have the subject.
func applyREST(relay *Relay, subject string, fits func(*payrelayv1.Update) bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		update, err := readUpdate(c.Request())
		if err != nil {
			return err
		}
		if !fits(update) {
			return &refusal{"wrong_subject", fmt.Sprintf("an update on this path must have the field %q: send orders to /internal/updates/orders, disputes to /internal/updates/disputes and notes to /internal/updates/notes", subject)}
		}
		answer, err := relay.ApplyUpdate(c.Request().Context(), &payrelayv1.ApplyUpdateRequest{Update: update})
		if err != nil {
			return err
		}
		text, err := protojson.Marshal(answer.GetOutcome())
		if err != nil {
			return fmt.Errorf("encode the outcome: %w", err)
		}
		// The white space of protojson differs from build to build.
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return fmt.Errorf("encode the outcome: %w", err)
		}
		return c.JSONBlob(http.StatusOK, compact.Bytes())
	}
}

// readUpdate reads an update in the JSON form of Protobuf, with field names in
// snake_case or camelCase. It refuses unknown fields.
func readUpdate(r *http.Request) (*payrelayv1.Update, error) {
	for _, encoding := range r.Header.Values(echo.HeaderContentEncoding) {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, &refusal{"unsupported_encoding", "the body has a Content-Encoding: send it without"}
		}
	}
	if !isJSON(r.Header.Get(echo.HeaderContentType)) {
		return nil, &refusal{"unsupported_media_type", "the body is not declared as JSON in UTF-8: send it with Content-Type: application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxMessageBytes))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(body) == 0 {
		return nil, &refusal{"empty_body", "the body is empty: send an update as JSON"}
	}
	update := new(payrelayv1.Update)
	if err := protojson.Unmarshal(body, update); err != nil {
		// protojson varies the spaces of its messages on purpose.
		cause := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
		return nil, &refusal{"invalid_json", "the body is not an update in the JSON form of Protobuf: " + cause}
	}
	return update, nil
}

func isJSON(contentType string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	charset, named := parameters["charset"]
	switch strings.ToLower(charset) {
	case "utf-8", "utf8", "us-ascii":
		return true
	default:
		return !named
	}
}
