package api

import (
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// letterItem is a dead letter as the public API returns it.
type letterItem struct {
	ID int64 `json:"id"`
	// Source, Kind and EventID are the idempotency key of the update. Kind is order,
	// dispute or note, and absent for a body or a record that could not be read.
	Source    string `json:"source"`
	Kind      string `json:"kind,omitempty"`
	EventID   string `json:"event_id"`
	OrderID   string `json:"order_id,omitempty"`
	DisputeID string `json:"dispute_id,omitempty"`
	Reason    string `json:"reason"`
	// Detail explains the reason.
	Detail    string `json:"detail"`
	CreatedAt string `json:"created_at"`
	// Deliveries is the number of times that these facts were refused, LastAt the time of
	// the last.
	Deliveries int64  `json:"deliveries"`
	LastAt     string `json:"last_at"`
	// Resolution and the fields after it are absent while the dead letter is open.
	Resolution  string `json:"resolution,omitempty"`
	ResolvedAt  string `json:"resolved_at,omitempty"`
	ResolvedBy  string `json:"resolved_by,omitempty"`
	ResolvedWhy string `json:"resolved_why,omitempty"`
	// Digest is the SHA-256, in hexadecimal, that identifies repeated deliveries.
	Digest string `json:"digest"`
	// Update is absent in a listing, and if it cannot be read.
	Update *updateItem `json:"update,omitempty"`
}

func newLetterItem(d *payrelayv1.DeadLetter) letterItem {
	item := letterItem{
		ID: d.GetId(), Source: d.GetSource(), Kind: d.GetKind(), EventID: d.GetEventId(), OrderID: d.GetOrderId(), DisputeID: d.GetDisputeId(),
		Reason: payments.DeadLetterReasons.Name(d.GetReason()), Detail: d.GetDetail(), CreatedAt: formatTimestamp(d.GetCreatedAt()),
		Deliveries: d.GetDeliveries(), LastAt: formatTimestamp(d.GetLastAt()),
		Resolution: d.GetResolution(), ResolvedAt: formatTimestamp(d.GetResolvedAt()), ResolvedBy: d.GetResolvedBy(), ResolvedWhy: d.GetResolvedWhy(),
		Digest: hex.EncodeToString(d.GetDigest()),
	}
	if u := d.GetUpdate(); u != nil {
		update := newUpdateItem(u)
		item.Update = &update
	}
	return item
}

// letterPageBody is the answer of the listing of dead letters.
type letterPageBody struct {
	pageBody[letterItem]
	// Total is the number of dead letters on all pages.
	Total int64 `json:"total"`
}

// listDeadLetters serves GET /deadletters.
func (p *public) listDeadLetters(c echo.Context) error {
	in := readParams(c)
	text, given := in.one("text")
	if given && text == "" {
		in.refuse("empty_value", "text is empty: leave it out to select all")
	}
	req := &payrelayv1.ListDeadLettersRequest{Page: in.page(), Filter: &payrelayv1.DeadLetterFilter{
		Reasons: names(in, "reasons", "reason", payments.DeadLetterReasons),
		Sources: in.list("sources"), Kinds: in.list("kinds"), OrderIds: in.list("order_ids"),
		TimeFrom: in.time("time_from"), TimeTo: in.time("time_to"), Text: text, Settled: in.flag("settled", "invalid_settled"),
	}}
	if err := in.check(); err != nil {
		return err
	}
	page, err := p.operator.ListDeadLetters(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, letterPageBody{newPageBody(page.GetDeadLetters(), newLetterItem, page.GetNextCursor()), page.GetTotal()})
}

// getDeadLetter serves GET /deadletters/{id}.
func (p *public) getDeadLetter(c echo.Context) error {
	text, err := pathID(c, readParams(c))
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return errNoSuchID
	}
	answer, err := p.operator.GetDeadLetter(c.Request().Context(), &payrelayv1.GetDeadLetterRequest{Id: id})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newLetterItem(answer.GetDeadLetter()))
}

// sourceItem is what is known about a source of webhooks. Provider and Environment are
// absent if it is not configured in this process. The fields from Verified on are those
// of the ingest role in this process, since its start.
type sourceItem struct {
	Name        string `json:"name"`
	Provider    string `json:"provider,omitempty"`
	Environment string `json:"environment,omitempty"`
	// LastEventAt is the time at which its newest event was recorded.
	LastEventAt string `json:"last_event_at,omitempty"`
	// OpenDeadLetters is absent if the database was not read.
	OpenDeadLetters *int64 `json:"open_dead_letters,omitempty"`
	// Verified is the number of webhooks whose signature was verified, Refused that of
	// refused ones by the code of the refusal.
	Verified        *int64           `json:"verified,omitempty"`
	Refused         map[string]int64 `json:"refused,omitempty"`
	LastSeenAt      string           `json:"last_seen_at,omitempty"`
	SecretExpiresAt string           `json:"secret_expires_at,omitempty"`
}

func newSourceItem(s *payrelayv1.Source) sourceItem {
	return sourceItem{
		Name: s.GetName(), Provider: s.GetProvider(), Environment: s.GetEnvironment(),
		LastEventAt: formatTimestamp(s.GetLastEventAt()), OpenDeadLetters: s.OpenDeadLetters, Verified: s.Verified, Refused: s.GetRefused(),
		LastSeenAt: formatTimestamp(s.GetLastSeenAt()), SecretExpiresAt: formatTimestamp(s.GetSecretExpiresAt()),
	}
}

// listSources serves GET /sources, which has one page.
func (p *public) listSources(c echo.Context) error {
	if err := readParams(c).check(); err != nil {
		return err
	}
	answer, err := p.operator.ListSources(c.Request().Context(), new(payrelayv1.ListSourcesRequest))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(answer.GetSources(), newSourceItem, ""))
}

// auditItem is an action of an operator.
type auditItem struct {
	ID int64  `json:"id"`
	At string `json:"at"`
	// Who is the name of the token, of the person, or both: "ops (ann)".
	Who     string `json:"who"`
	Action  string `json:"action"`
	Target  string `json:"target"`
	OrderID string `json:"order_id,omitempty"`
	Why     string `json:"why"`
	// Before and After are the states of the target, in words.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func newAuditItem(a *payrelayv1.AuditEntry) auditItem {
	return auditItem{
		ID: a.GetId(), At: formatTimestamp(a.GetAt()), Who: a.GetWho(), Action: a.GetAction(), Target: a.GetTarget(), OrderID: a.GetOrderId(),
		Why: a.GetWhy(), Before: a.GetBefore(), After: a.GetAfter(),
	}
}

// listAudit serves GET /audit.
func (p *public) listAudit(c echo.Context) error {
	in := readParams(c)
	req := &payrelayv1.ListAuditRequest{
		Actions: in.list("actions"), OrderIds: in.list("order_ids"),
		TimeFrom: in.time("time_from"), TimeTo: in.time("time_to"), Page: in.page(),
	}
	if err := in.check(); err != nil {
		return err
	}
	page, err := p.operator.ListAudit(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(page.GetEntries(), newAuditItem, page.GetNextCursor()))
}
