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

// decoder reads what a provider says out of its webhook's body.
type decoder func(body []byte) (*payrelayv1.Update, error)

// webhook takes one webhook through: read, decode, apply once, answer.
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
		// Not before: slow senders would take the slots of those who are done.
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

func (s *Server) takeSlot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// checkHeaders wants plain JSON in UTF-8. Saying nothing says that.
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

// newUpdate decodes body, which the update keeps, and has it checked.
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

// apply calls the Applier once. Sending again is the Applier's business below
// and the provider's above.
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

// answer says what became of the webhook, which is final.
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
