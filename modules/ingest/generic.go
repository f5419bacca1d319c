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

// genericProvider is the provider of payrelay's own webhook format, for payment
// systems without a format of their own.
const genericProvider = "generic"

// genericOrder is the body of a webhook about an order. A null member counts as
// absent.
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

// genericDispute is the body of a webhook about a dispute, also known as a
// chargeback.
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

// genericResolution maps meta.resolution to the status of a closed dispute.
var genericResolution = map[string]payrelayv1.DisputeStatus{
	"":            payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"unspecified": payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"won":         payrelayv1.DisputeStatus_DISPUTE_STATUS_WON,
	"lost":        payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST,
}

// decodeGenericOrder decodes a webhook about an order. It occurred at updated_at, or
// at created_at if there is no updated_at.
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

// decodeGenericDispute decodes a webhook about a dispute.
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

// genericDisputeState returns the status of the contract or, if the provider's is
// not known, the provider's words: the ledger decides what to do with those.
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

// newGeneric sets the provider and the event id of u. It also checks the required
// fields whose names differ from those of an update, so that a refusal has the name
// that the sender knows. timeField is the name of the field for OccurredAt.
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

// parseTime parses a time in RFC 3339 and truncates it to microseconds. It returns
// nil for an empty text.
func parseTime(field, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	t, err := payments.ParseTime(text)
	if err != nil {
		return nil, badRequest("invalid_time", field+" must be a time in RFC 3339, such as 2026-01-04T10:00:00.123456Z")
	}
	return timestamppb.New(t.Truncate(time.Microsecond)), nil
}

// parseMoney parses an amount that is a JSON number or a string. It returns nil if
// there is none. A number keeps its decimal digits: it never becomes a float.
// parent is the prefix of the field names in a refusal.
func parseMoney(parent string, amount jsontext.Value, currency string) (*payrelayv1.Money, error) {
	text := string(amount)
	switch amount.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		if currency != "" {
			return nil, badRequest("field_required", fmt.Sprintf("%[1]samount is required together with %[1]scurrency", parent))
		}
		return nil, nil
	case jsontext.KindString:
		unquoted, _ := jsontext.AppendUnquote(nil, amount) // cannot fail: it is a string
		text = string(unquoted)
	case jsontext.KindNumber:
	default:
		return nil, badRequest("invalid_field", parent+"amount must be a decimal number or a string that holds one")
	}
	if currency == "" {
		return nil, badRequest("field_required", fmt.Sprintf("%[1]scurrency is required together with %[1]samount", parent))
	}
	return payments.ParseMoney(text, currency)
}
