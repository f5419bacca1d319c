package history

import (
	"encoding/json"
	"slices"
	"strings"
)

// State is what the database held at the end of a run.
type State struct {
	Events      []Event         `json:"events"`
	Orders      []StoredOrder   `json:"orders"`
	Disputes    []StoredDispute `json:"disputes"`
	DeadLetters []DeadLetter    `json:"letters"`
	Audit       []AuditEntry    `json:"audit,omitempty"`
}

// Event is a row of the table of events.
type Event struct {
	Provider string `json:"provider"`
	Event    string `json:"event"`
	Facts    Facts  `json:"says"`
	// FactsDigest is the program's digest of the facts.
	FactsDigest string `json:"facts"`
	Digest      string `json:"digest"`
	// BodyDigest is the digest of the body that is stored, computed by the tester.
	BodyDigest string `json:"stored"`
	Verdict    string `json:"verdict"`
	Reason     string `json:"reason,omitempty"`
	InHistory  bool   `json:"in_history"`
	Forced     bool   `json:"forced,omitempty"`
}

// Key returns the identity of the event.
func (e *Event) Key() Key { return Key{e.Facts.Kind(), e.Event} }

// Order is the state of an order. Times are microseconds since 1970.
type Order struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	User      string `json:"user"`
	Amount    Money  `json:"amount,omitzero"`
	Parts     Parts  `json:"parts,omitempty"`
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

// Parts is the text of a list of [Part], sorted by name, so that orders can be
// compared.
type Parts string

// Part is what is known about the money of a part of an order; the order as a whole
// is the part without a name.
type Part struct {
	Name       string `json:"name,omitempty"`
	Authorized Money  `json:"authorized,omitzero"`
	Captured   Money  `json:"captured,omitzero"`
	Refunded   Money  `json:"refunded,omitzero"`
	Paid       bool   `json:"paid,omitempty"`
}

// NewParts returns the text of a list of parts. Those of which nothing is known are
// left out.
func NewParts(all []Part) Parts {
	all = slices.DeleteFunc(slices.Clone(all), func(p Part) bool { return p == Part{Name: p.Name} })
	slices.SortFunc(all, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	if len(all) == 0 {
		return ""
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // a struct of texts and numbers can be encoded
	}
	return Parts(text)
}

// StoredOrder is a row of the table of orders. Version counts the commits that
// changed the order.
type StoredOrder struct {
	Order
	Version int64 `json:"version"`
}

// Dispute is the state of a dispute.
type Dispute struct {
	ID            string `json:"id"`
	Order         string `json:"order"`
	Stage         string `json:"stage,omitempty"`
	Status        string `json:"status"`
	Reopened      int    `json:"reopened,omitempty"`
	User          string `json:"user"`
	Reason        string `json:"reason"`
	Amount        Money  `json:"amount,omitzero"`
	OutcomeAmount Money  `json:"outcome_amount,omitzero"`
	OpenedAt      int64  `json:"opened_at"`
	UpdatedAt     int64  `json:"updated_at"`
	EvidenceDueAt int64  `json:"evidence_due_at"`
}

// StoredDispute is a row of the table of disputes.
type StoredDispute struct {
	Dispute
	Version int64 `json:"version"`
}

// DeadLetter is a row of the table of dead letters. Resolution is empty as long as
// it waits for an operator.
type DeadLetter struct {
	ID       int64  `json:"id"`
	Provider string `json:"provider"`
	Kind     string `json:"kind,omitempty"`
	Event    string `json:"event"`
	Order    string `json:"order,omitempty"`
	// Digest is that of the facts of an event, or of the payload.
	Digest     string `json:"digest"`
	Reason     string `json:"reason"`
	Deliveries int64  `json:"deliveries,omitempty"`
	Resolution string `json:"resolution,omitempty"`
	By         string `json:"by,omitempty"`
	Why        string `json:"why,omitempty"`
	// ResolvedAt is in microseconds since 1970, 0 for one that waits.
	ResolvedAt int64 `json:"resolved_at,omitempty"`
}

// Key returns the identity of the event.
func (l *DeadLetter) Key() Key { return Key{l.Kind, l.Event} }
