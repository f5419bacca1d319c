package history

// State is what the database held at the end of a run.
type State struct {
	Events      []Event       `json:"events"`
	Orders      []StoredOrder `json:"orders"`
	Disputes    []Dispute     `json:"disputes"`
	DeadLetters []DeadLetter  `json:"letters"`
}

// Event is a row of the table of events.
type Event struct {
	Provider string `json:"provider"`
	Event    string `json:"event"`
	Facts    Facts  `json:"says"`
	Digest   string `json:"digest"`
	// BodyDigest is the digest of the body that is stored, computed by the tester.
	BodyDigest string `json:"stored"`
	Verdict    string `json:"verdict"`
	Reason     string `json:"reason,omitempty"`
	InHistory  bool   `json:"in_history"`
}

// Order is the state of an order. Times are microseconds since 1970, amounts minor
// units.
type Order struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	User      string `json:"user"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

// StoredOrder is a row of the table of orders. Version counts the commits that
// changed the order.
type StoredOrder struct {
	Order
	Version int64 `json:"version"`
}

// Dispute is the state of a dispute, and a row of its table.
type Dispute struct {
	ID            string `json:"id"`
	Order         string `json:"order"`
	Status        string `json:"status"`
	User          string `json:"user"`
	Reason        string `json:"reason"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	OpenedAt      int64  `json:"opened_at"`
	UpdatedAt     int64  `json:"updated_at"`
	EvidenceDueAt int64  `json:"evidence_due_at"`
}

// DeadLetter is a row of the table of dead letters. Resolution is empty as long as
// it waits for an operator.
type DeadLetter struct {
	Provider   string `json:"provider"`
	Event      string `json:"event"`
	Digest     string `json:"digest"`
	Reason     string `json:"reason"`
	Resolution string `json:"resolution,omitempty"`
}
