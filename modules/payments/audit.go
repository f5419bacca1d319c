package payments

import "time"

// AuditEntry is an action of an operator. It is recorded in the transaction of what the
// action changes, and never changed or removed.
type AuditEntry struct {
	// ID is assigned by the store; it is 0 before.
	ID int64
	At time.Time
	// Who is the name of the token, of the person, or both.
	Who    string
	Action Action
	// Target names what the action is about, for people.
	Target string
	// OrderID is empty if the target belongs to no order.
	OrderID string
	Why     string
	// Before and After are the states of the target in words, such as
	// "open: contradiction" and "accepted: applied".
	Before, After string
}

// Action is a kind of action of an operator.
type Action string

// The actions that the audit log records.
const (
	ActionReplay   Action = "replay"
	ActionAccept   Action = "accept"
	ActionDiscard  Action = "discard"
	ActionReadBody Action = "read_body"
	ActionRederive Action = "rederive"
)
