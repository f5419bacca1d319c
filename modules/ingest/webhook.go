package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// decoder returns the update that a provider's webhook reports. It sets every field
// but those that newUpdate sets. It judges only the form of the body: a status that it
// does not know goes into provider_status, and the ledger decides.
type decoder func(body []byte) (*payrelayv1.Update, error)

// webhook returns the handler of a path: it reads, decodes and applies one webhook,
// and answers it.
func (s *Server) webhook(decode decoder) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := checkHeaders(c.Request().Header); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)
		defer cancel()
		room := reservation{budget: s.bodies}
		defer room.release()
		body, err := readBody(c.Response(), c.Request(), s.cfg.MaxBody, &room)
		if err != nil {
			return err
		}
		// The slot is taken after the body is read, so that slow senders hold none.
		if !s.takeSlot() {
			return errOverloaded
		}
		defer func() { <-s.slots }()
		update, err := newUpdate(body, decode)
		if err != nil {
			return err
		}
		outcome, err := s.apply(ctx, update)
		if err != nil {
			return err
		}
		return s.answer(c, update, outcome)
	}
}

// takeSlot reports whether a slot was free.
func (s *Server) takeSlot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// checkHeaders refuses every body that is not declared as JSON in UTF-8 without an
// encoding. Without a Content-Type, the body is taken as such.
func checkHeaders(header http.Header) error {
	for _, encoding := range header.Values(echo.HeaderContentEncoding) {
		if !strings.EqualFold(encoding, "identity") {
			return errEncoding
		}
	}
	switch types := header.Values(echo.HeaderContentType); {
	case len(types) == 0 || len(types) == 1 && types[0] == echo.MIMEApplicationJSON:
		return nil
	case len(types) > 1:
		return errMediaType
	}
	mediaType, params, err := mime.ParseMediaType(header.Get(echo.HeaderContentType))
	if err != nil || mediaType != echo.MIMEApplicationJSON {
		return errMediaType
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return errMediaType
	}
	return nil
}

// newUpdate decodes the body, which the update keeps, and validates the update.
func newUpdate(body []byte, decode decoder) (*payrelayv1.Update, error) {
	update, err := decode(body)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(body)
	update.SchemaVersion = payments.SchemaVersion
	update.ReceivedAt = timestamppb.New(time.Now().Truncate(time.Microsecond))
	update.RawBody = body
	update.BodySha256 = digest[:]
	if err := payments.Validate(update); err != nil {
		return nil, err
	}
	return update, nil
}

// apply calls the Applier once. The Applier retries as long as the deadline allows;
// after that, the provider sends the webhook again.
func (s *Server) apply(ctx context.Context, update *payrelayv1.Update) (*payrelayv1.Outcome, error) {
	outcomes, err := s.next.Apply(ctx, []*payrelayv1.Update{update})
	if err != nil {
		return nil, applyError{fmt.Errorf("apply event %q of %s: %w", update.GetEventId(), update.GetProvider(), err)}
	}
	if len(outcomes) != 1 || outcomes[0].GetVerdict() == payrelayv1.Verdict_VERDICT_UNSPECIFIED {
		return nil, applyError{fmt.Errorf("apply event %q of %s: %d outcomes for one update, or one without a verdict",
			update.GetEventId(), update.GetProvider(), len(outcomes))}
	}
	return outcomes[0], nil
}

// answer is the body of a 2xx answer.
type answer struct {
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id"`
}

func (s *Server) answer(c echo.Context, update *payrelayv1.Update, outcome *payrelayv1.Outcome) error {
	a := answer{Verdict: payments.Verdicts.Name(outcome.GetVerdict()), RequestID: requestID(c)}
	if outcome.GetVerdict() == payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
		a.Reason = payments.DeadLetterReasons.Name(outcome.GetReason())
	}
	status := http.StatusOK
	if outcome.GetVerdict() == payrelayv1.Verdict_VERDICT_QUEUED {
		status = http.StatusAccepted
	}
	s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "webhook accepted",
		slog.String("request_id", a.RequestID), slog.String("provider", update.GetProvider()),
		slog.String("event_id", update.GetEventId()), slog.String("verdict", a.Verdict), slog.Int("bytes", len(update.GetRawBody())))
	return c.JSON(status, a)
}
