package ingest

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// genericProvider is the name of the contract for whoever has none of its own.
const genericProvider = "generic"

// genericOrder is the webhook about an order. Absent and null are the same.
type genericOrder struct {
	EventID   string `json:"provider_event_id"`
	OrderID   string `json:"order_id"`
	UserID    string `json:"user_id"`
	Status    string `json:"status"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	Meta      struct {
		Amount   jsontext.Value `json:"amount"`
		Currency string         `json:"currency"`
	} `json:"meta"`
}

// genericDispute is the webhook about a dispute, also known as a chargeback.
type genericDispute struct {
	EventID       string         `json:"provider_event_id"`
	OrderID       string         `json:"order_id"`
	UserID        string         `json:"user_id"`
	DisputeID     string         `json:"dispute_id"`
	Status        string         `json:"status"`
	Reason        string         `json:"reason"`
	Amount        jsontext.Value `json:"amount"`
	Currency      string         `json:"currency"`
	OccurredAt    string         `json:"occurred_at"`
	EvidenceDueAt string         `json:"evidence_due_at"`
	Meta          struct {
		Resolution string `json:"resolution"`
	} `json:"meta"`
}

var genericOrderStatus = map[string]payrelayv1.OrderStatus{
	"created": payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
	"updated": payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"success": payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	"failed":  payrelayv1.OrderStatus_ORDER_STATUS_FAILED,
}

var genericDisputeStatus = map[string]payrelayv1.DisputeStatus{
	"opened":    payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN,
	"updated":   payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW,
	"submitted": payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED,
	"canceled":  payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED,
}

// genericResolution is the status of a dispute that the provider calls closed.
var genericResolution = map[string]payrelayv1.DisputeStatus{
	"":            payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"unspecified": payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"won":         payrelayv1.DisputeStatus_DISPUTE_STATUS_WON,
	"lost":        payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST,
}

// decodeGenericOrder reads an order's webhook. Its time is that of the update,
// which the first webhook of an order may leave out.
func decodeGenericOrder(body []byte) (*payrelayv1.Update, error) {
	var in genericOrder
	if err := unmarshalStrict(body, &in); err != nil {
		return nil, err
	}
	updatedAt, err := parseTime("updated_at", in.UpdatedAt)
	if err != nil {
		return nil, err
	}
	createdAt, err := parseTime("created_at", in.CreatedAt)
	if err != nil {
		return nil, err
	}
	amount, err := parseMoney("meta.", in.Meta.Amount, in.Meta.Currency)
	if err != nil {
		return nil, err
	}
	order := &payrelayv1.OrderSnapshot{Status: genericOrderStatus[in.Status], CreatedAt: createdAt, Amount: amount}
	if order.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		order.ProviderStatus = payments.PlainText(in.Status)
	}
	occurredAt := updatedAt
	if occurredAt == nil {
		occurredAt = createdAt
	}
	return newGeneric(in.EventID, &payrelayv1.Update{
		OrderId: in.OrderID, UserId: in.UserID, OccurredAt: occurredAt,
		Subject: &payrelayv1.Update_Order{Order: order},
	}, "updated_at")
}

// decodeGenericDispute reads a dispute's webhook.
func decodeGenericDispute(body []byte) (*payrelayv1.Update, error) {
	var in genericDispute
	if err := unmarshalStrict(body, &in); err != nil {
		return nil, err
	}
	occurredAt, err := parseTime("occurred_at", in.OccurredAt)
	if err != nil {
		return nil, err
	}
	evidenceDueAt, err := parseTime("evidence_due_at", in.EvidenceDueAt)
	if err != nil {
		return nil, err
	}
	amount, err := parseMoney("", in.Amount, in.Currency)
	if err != nil {
		return nil, err
	}
	status, providerStatus := genericDisputeState(in.Status, in.Meta.Resolution)
	return newGeneric(in.EventID, &payrelayv1.Update{
		OrderId: in.OrderID, UserId: in.UserID, OccurredAt: occurredAt,
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: in.DisputeID, Status: status, ProviderStatus: payments.PlainText(providerStatus),
			Reason: payments.PlainText(in.Reason), Amount: amount, EvidenceDueAt: evidenceDueAt,
		}},
	}, "occurred_at")
}

// genericDisputeState translates a status, or gives it back in the provider's
// words: whether those can be applied is not for the ingest to say.
func genericDisputeState(status, resolution string) (_ payrelayv1.DisputeStatus, providerStatus string) {
	if status != "closed" {
		if known, ok := genericDisputeStatus[status]; ok {
			return known, ""
		}
		return payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, status
	}
	if known, ok := genericResolution[resolution]; ok {
		return known, ""
	}
	return payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, status + ":" + resolution
}

// newGeneric completes u and asks here for the fields that the contract calls
// otherwise than the domain, whose message would send the reader astray.
func newGeneric(eventID string, u *payrelayv1.Update, timeField string) (*payrelayv1.Update, error) {
	if strings.TrimSpace(eventID) == "" {
		return nil, badRequest("field_required", "provider_event_id must not be empty or blank")
	}
	if u.OccurredAt == nil {
		return nil, badRequest("field_required", timeField+" is required, such as 2026-01-04T10:00:00Z")
	}
	u.Provider, u.EventId = genericProvider, eventID
	return u, nil
}

// parseTime reads an RFC 3339 time to the microsecond; none is nil.
func parseTime(field, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	t, err := payments.ParseTime(text)
	if err != nil {
		return nil, badRequest("invalid_time", field+" must be a time such as 2026-01-04T10:00:00.123456Z")
	}
	return timestamppb.New(t.Truncate(time.Microsecond)), nil
}

// parseMoney reads an amount that may be a JSON number or a string; none is nil.
// The digits stay text until the domain has read them.
func parseMoney(parent string, amount jsontext.Value, currency string) (*payrelayv1.Money, error) {
	text := string(amount)
	switch amount.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		if currency != "" {
			return nil, badRequest("field_required", fmt.Sprintf("%[1]samount is required together with %[1]scurrency", parent))
		}
		return nil, nil
	case jsontext.KindString:
		unquoted, _ := jsontext.AppendUnquote(nil, amount) // it was read as a string
		text = string(unquoted)
	case jsontext.KindNumber:
	default:
		return nil, badRequest("invalid_field", parent+"amount must be a decimal number or a string of one")
	}
	if currency == "" {
		return nil, badRequest("field_required", fmt.Sprintf("%[1]scurrency is required together with %[1]samount", parent))
	}
	return payments.ParseMoney(text, currency)
}
