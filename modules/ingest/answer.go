package ingest

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

// answer is the body of a 2xx answer.
type answer struct {
	// Verdict is that of the only update. Of several, it is the first of queued,
	// dead_lettered, applied, stale and duplicate that one of them has.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	// Ignored has the paths of members that were read and have no effect, such as an
	// amount without a currency.
	Ignored []string `json:"ignored,omitempty"`
	// Updates has the verdict of each update, if there are several.
	Updates   []updateAnswer `json:"updates,omitempty"`
	RequestID string         `json:"request_id"`
}

type updateAnswer struct {
	EventID string `json:"event_id"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
}

// precedence has the verdicts in the order in which they stand for a whole webhook.
var precedence = []payrelayv1.Verdict{
	payrelayv1.Verdict_VERDICT_QUEUED, payrelayv1.Verdict_VERDICT_DEAD_LETTERED, payrelayv1.Verdict_VERDICT_APPLIED,
	payrelayv1.Verdict_VERDICT_STALE, payrelayv1.Verdict_VERDICT_DUPLICATE,
}

// summary returns the outcome that stands for a whole webhook.
func summary(outcomes []*payrelayv1.Outcome) *payrelayv1.Outcome {
	return slices.MinFunc(outcomes, func(a, b *payrelayv1.Outcome) int {
		return slices.Index(precedence, a.GetVerdict()) - slices.Index(precedence, b.GetVerdict())
	})
}

// reason returns why an update is a dead letter, or nothing for another verdict.
func reason(outcome *payrelayv1.Outcome) string {
	if outcome.GetVerdict() != payrelayv1.Verdict_VERDICT_DEAD_LETTERED {
		return ""
	}
	return payments.DeadLetterReasons.Name(outcome.GetReason())
}

// answer answers a webhook whose updates have outcomes. It completes seen.
func (s *Server) answer(c echo.Context, from *source.Source, webhook provider.Webhook, outcomes []*payrelayv1.Outcome, seen *Observation) error {
	whole := summary(outcomes)
	a := answer{Verdict: payments.Verdicts.Name(whole.GetVerdict()), Reason: reason(whole), Ignored: webhook.Ignored, RequestID: requestID(c)}
	if len(outcomes) > 1 {
		for i, outcome := range outcomes {
			a.Updates = append(a.Updates, updateAnswer{webhook.Updates[i].GetEventId(), payments.Verdicts.Name(outcome.GetVerdict()), reason(outcome)})
		}
	}
	seen.Status = http.StatusOK
	if whole.GetVerdict() == payrelayv1.Verdict_VERDICT_QUEUED {
		seen.Status = http.StatusAccepted
	}
	seen.Verdict, seen.Reason, seen.Updates = a.Verdict, a.Reason, len(outcomes)
	if text := provider.Accepted(from.Provider); text != "" {
		return c.String(seen.Status, text)
	}
	return c.JSON(seen.Status, a)
}
