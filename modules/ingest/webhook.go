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

// format is a provider's kind of webhook: the members that are read, and a decoder
// that returns the update that they report. The decoder sets every field but those
// that newUpdate sets. It judges only the form of the body: a status that it does not
// know goes into provider_status, and the ledger decides.
type format struct {
	form   *form
	decode func(*fields) *payrelayv1.Update
}

// webhook returns the handler of a path: it reads, decodes and applies one webhook,
// and answers it.
func (s *Server) webhook(source Source, f format) echo.HandlerFunc {
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
		update, ignored, err := newUpdate(body, source.Name, f)
		if err != nil {
			refused := refusedBody(err, body, source.Name, f)
			if !source.Verified {
				return refused
			}
			s.log.LogAttrs(ctx, slog.LevelWarn, "webhook cannot be read, and becomes a dead letter", append(refused.attrs(),
				slog.String("request_id", requestID(c)), slog.String("code", refusalOf(refused).code),
				slog.String("path", c.Path()), slog.Any("error", refused))...)
			update = payments.NewUnreadable(source.Name, body, time.Now())
		}
		outcome, err := s.apply(ctx, update)
		if err != nil {
			return err
		}
		return s.answer(c, update, ignored, outcome)
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

// checkHeaders refuses every body that is not declared as JSON in UTF-8, or in
// ASCII, which is a part of it, without an encoding. Without a Content-Type, the body
// is taken as such.
func checkHeaders(header http.Header) error {
	for _, encoding := range header.Values(echo.HeaderContentEncoding) {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
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
	if charset, ok := params["charset"]; ok {
		switch strings.ToLower(charset) {
		case "utf-8", "utf8", "us-ascii":
		default:
			return errMediaType
		}
	}
	return nil
}

// newUpdate decodes the body, which the update keeps, and validates the update.
// Ignored has the paths of members that were read and have no effect. An error is
// about the body.
func newUpdate(body []byte, source string, f format) (update *payrelayv1.Update, ignored []string, err error) {
	in := fields{document: newDocument(f.form)}
	defer in.putBack()
	if err := in.parse(body); err != nil {
		return nil, nil, err
	}
	update = f.decode(&in)
	if in.err != nil {
		return nil, nil, in.err
	}
	digest := sha256.Sum256(body)
	update.Provider = source
	update.SchemaVersion = payments.SchemaVersion
	update.ReceivedAt = timestamppb.New(time.Now().Truncate(time.Microsecond))
	update.RawBody = body
	update.BodySha256 = digest[:]
	if err := payments.Validate(update); err != nil {
		return nil, nil, err
	}
	return update, in.ignored, nil
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
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	// Ignored has the paths of members that were read and have no effect, such as an
	// amount without a currency.
	Ignored   []string `json:"ignored,omitempty"`
	RequestID string   `json:"request_id"`
}

func (s *Server) answer(c echo.Context, update *payrelayv1.Update, ignored []string, outcome *payrelayv1.Outcome) error {
	a := answer{Verdict: payments.Verdicts.Name(outcome.GetVerdict()), Ignored: ignored, RequestID: requestID(c)}
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
