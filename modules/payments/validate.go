package payments

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// SchemaVersion is the schema version of the updates that this release sends, and
	// the newest one that it can interpret.
	SchemaVersion = 1

	// MaxIDBytes is the largest size of a provider, event, order, dispute or user
	// id, so that every database can index it.
	MaxIDBytes = 255
)

// InvalidError is the reason why an update is not well-formed. It is final: the
// same update will be refused again.
type InvalidError struct{ code, message string }

// Code returns the stable snake_case name of the error.
func (e *InvalidError) Code() string { return e.code }

// Error returns a sentence that explains how to fix the update.
func (e *InvalidError) Error() string { return e.message }

func invalid(code, message string) error { return &InvalidError{code: code, message: message} }

// Validate checks that an update is well-formed. The error is an [InvalidError]. A
// well-formed update that cannot be applied becomes a dead letter of the ledger. Validate
// accepts an update of a newer schema version, which only a newer release can judge, and
// one for which [IsUnreadable] returns true.
func Validate(u *payrelayv1.Update) error {
	if u == nil {
		return invalid("field_required", "update is required")
	}
	if unknownSchema(u) {
		return nil
	}
	if IsUnreadable(u) {
		return validateUnreadable(u)
	}
	if u.GetDeadLetterReason() != noReason {
		return invalid("invalid_field", "dead_letter_reason must only be in an update without a subject that has the body of a webhook")
	}
	for _, check := range []func(*payrelayv1.Update) error{validateIDs, validateOrigin, validateTimes, validateBody, validateSubject} {
		if err := check(u); err != nil {
			return err
		}
	}
	return nil
}

func unknownSchema(u *payrelayv1.Update) bool { return u.GetSchemaVersion() > SchemaVersion }

func validateIDs(u *payrelayv1.Update) error {
	for _, field := range []struct {
		name, value string
		required    bool
	}{
		{"provider", u.GetProvider(), true},
		{"event_id", u.GetEventId(), true},
		{"order_id", u.GetOrderId(), true},
		{"user_id", u.GetUserId(), false},
		{"dispute_id", u.GetDispute().GetDisputeId(), false},
		{"dispute_id", u.GetNote().GetDisputeId(), false},
		{"part", u.GetOrder().GetPart(), false},
	} {
		if err := validateID(field.name, field.value, field.required); err != nil {
			return err
		}
	}
	return nil
}

// validateOrigin checks what logs and traces show of an update.
func validateOrigin(u *payrelayv1.Update) error {
	if err := validateID("request_id", u.GetRequestId(), false); err != nil {
		return err
	}
	return validateID("traceparent", u.GetTraceparent(), false)
}

func validateID(name, value string, required bool) error {
	switch {
	case value == "" && !required:
		return nil
	case isBlank(value):
		return invalid("field_required", name+" must not be empty or blank")
	case len(value) > MaxIDBytes:
		return invalid("field_too_long", fmt.Sprintf("%s must be at most %d bytes", name, MaxIDBytes))
	default:
		return validateText(name, value)
	}
}

func isBlank(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// validateText refuses text that some database, log or terminal cannot handle.
func validateText(name, value string) error {
	if len(value) > MaxTextBytes {
		return invalid("field_too_long", fmt.Sprintf("%s must be at most %d bytes", name, MaxTextBytes))
	}
	if !utf8.ValidString(value) {
		return invalid("invalid_utf8", name+" must be valid UTF-8")
	}
	for _, r := range value {
		if unicode.IsControl(r) {
			return invalid("invalid_field", name+" must not contain control characters")
		}
	}
	return nil
}

func validateTimes(u *payrelayv1.Update) error {
	if u.GetOccurredAt() == nil {
		return invalid("field_required", "occurred_at is required")
	}
	for _, field := range []struct {
		name  string
		value *timestamppb.Timestamp
	}{
		{"occurred_at", u.GetOccurredAt()},
		{"received_at", u.GetReceivedAt()},
		{"created_at", u.GetOrder().GetCreatedAt()},
		{"evidence_due_at", u.GetDispute().GetEvidenceDueAt()},
	} {
		if field.value != nil && !storable(field.value) {
			return invalid("invalid_time", field.name+" must be a time between the years 1970 and 9999")
		}
	}
	return nil
}

func storable(ts *timestamppb.Timestamp) bool {
	return ts.CheckValid() == nil && ts.GetSeconds() >= 0
}

func validateBody(u *payrelayv1.Update) error {
	claimed := u.GetBodySha256()
	if len(claimed) == 0 {
		return nil
	}
	if sum := sha256.Sum256(u.GetRawBody()); string(claimed) != string(sum[:]) {
		return invalid("digest_mismatch", "body_sha256 is not the SHA-256 of raw_body: the body was changed on its way")
	}
	return nil
}

func validateSubject(u *payrelayv1.Update) error {
	switch subject := u.GetSubject().(type) {
	case *payrelayv1.Update_Order:
		o := subject.Order
		known := payrelayv1.OrderStatus_name[int32(o.GetStatus())] != ""
		if err := validateStatus(int32(o.GetStatus()), known, o.GetProviderStatus()); err != nil {
			return err
		}
		return validateMoney(o.GetAmount(), o.GetAuthorized(), o.GetCaptured(), o.GetRefunded())
	case *payrelayv1.Update_Dispute:
		d := subject.Dispute
		known := payrelayv1.DisputeStatus_name[int32(d.GetStatus())] != ""
		if err := validateStatus(int32(d.GetStatus()), known, d.GetProviderStatus()); err != nil {
			return err
		}
		if err := validateText("reason", d.GetReason()); err != nil {
			return err
		}
		return validateMoney(d.GetAmount(), d.GetOutcomeAmount())
	case *payrelayv1.Update_Note:
		if isBlank(subject.Note.GetKind()) {
			return invalid("field_required", "kind of a note must not be empty or blank")
		}
		if err := validateText("kind", subject.Note.GetKind()); err != nil {
			return err
		}
		return validateText("text", subject.Note.GetText())
	default:
		return invalid("field_required", "an update must carry an order, a dispute or a note")
	}
}

// validateStatus checks that there is a status of the contract or one in the
// provider's words. A number without an enum value comes from a newer release and is
// left to the ledger.
func validateStatus(number int32, known bool, providerStatus string) error {
	if number == 0 && known && isBlank(providerStatus) {
		return invalid("field_required", "status is required")
	}
	return validateText("status", providerStatus)
}

func validateMoney(amounts ...*payrelayv1.Money) error {
	for _, m := range amounts {
		switch {
		case m == nil:
		case !isCurrency(m.GetCurrency()):
			return invalidCurrency()
		case m.GetMinorUnits() < 0:
			return invalid("invalid_amount", "an amount must not be negative")
		case m.Exponent != nil && (m.GetExponent() < 0 || m.GetExponent() > maxExponent):
			return invalid("invalid_amount", fmt.Sprintf("the exponent of an amount must be between 0 and %d", maxExponent))
		}
	}
	return nil
}

// NewUnreadable returns an update for an authentic webhook whose body cannot be read. It
// has the whole body and no subject, and the ledger makes it a dead letter. The event id
// is derived from the body, so that deliveries of the same body are one dead letter. The
// body must not be empty.
func NewUnreadable(source string, body []byte, receivedAt time.Time) *payrelayv1.Update {
	digest := sha256.Sum256(body)
	return &payrelayv1.Update{
		Provider: source, EventId: bodyEventID(digest[:]), SchemaVersion: SchemaVersion,
		ReceivedAt: timestamppb.New(receivedAt.Truncate(time.Microsecond)), RawBody: body, BodySha256: digest[:],
	}
}

// NewWrongEnvironment returns an update for an authentic webhook of the other environment,
// such as a test event at a source of live ones. It has the form of an update that
// [NewUnreadable] returns, and the same body has the same key. A release that does not
// know the field dead_letter_reason records it as undecodable.
func NewWrongEnvironment(source string, body []byte, receivedAt time.Time) *payrelayv1.Update {
	u := NewUnreadable(source, body, receivedAt)
	u.DeadLetterReason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_WRONG_ENVIRONMENT
	return u
}

func bodyEventID(digest []byte) string { return "sha256:" + hex.EncodeToString(digest) }

// IsUnreadable reports whether an update has the form that [NewUnreadable] and
// [NewWrongEnvironment] return. Only such an update may have no order.
func IsUnreadable(u *payrelayv1.Update) bool {
	return u.GetSubject() == nil && u.GetOrderId() == "" && len(u.GetRawBody()) > 0 &&
		len(u.GetBodySha256()) == sha256.Size && u.GetEventId() == bodyEventID(u.GetBodySha256())
}

// validateUnreadable checks an update for which IsUnreadable returns true.
func validateUnreadable(u *payrelayv1.Update) error {
	if err := validateID("provider", u.GetProvider(), true); err != nil {
		return err
	}
	if u.GetReceivedAt() != nil && !storable(u.GetReceivedAt()) {
		return invalid("invalid_time", "received_at must be a time between the years 1970 and 9999")
	}
	if err := validateOrigin(u); err != nil {
		return err
	}
	reason := u.GetDeadLetterReason()
	if _, ofBody := bodyDetails[reason]; !ofBody && reason != noReason && DeadLetterReasons.Name(reason) != "" {
		return invalid("invalid_field", fmt.Sprintf("dead_letter_reason of a body must not be %q", DeadLetterReasons.Name(reason)))
	}
	return validateBody(u)
}

// bodyDetails holds the reasons that the ingest role can state for a whole body, with
// the arguments of their details in reasons.
var bodyDetails = map[payrelayv1.DeadLetterReason][]any{
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE: {
		"the body of the webhook cannot be read; the log of the ingest role has the cause under its SHA-256"},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_WRONG_ENVIRONMENT: nil,
}

// unreadableBody returns the dead letter of a valid update for which IsUnreadable
// returns true. Its digest is that of the body, which does not depend on the release.
func unreadableBody(u *payrelayv1.Update, now time.Time) *DeadLetter {
	reason := u.GetDeadLetterReason()
	if _, known := bodyDetails[reason]; !known {
		reason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
	}
	letter := wholeLetter(u, reason, now, bodyDetails[reason]...)
	letter.Digest = sha256.Sum256(u.GetRawBody())
	return letter
}
