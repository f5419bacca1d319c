package history

// The decisions of an operator, as the database names them.
const (
	Accepted  = "accepted"
	Discarded = "discarded"
	Replayed  = "replayed"
)

// Actions are the actions of the audit log by the decision that they record.
var Actions = map[string]string{Accepted: "accept", Discarded: "discard", Replayed: "replay"}

// Decision is what an operator decided about a dead letter, once and for all.
type Decision struct {
	Letter DeadLetter `json:"letter"`
	// Resolution is Accepted or Discarded.
	Resolution string `json:"resolution"`
	// By is the name of the operator, and Why the reason.
	By  string `json:"by"`
	Why string `json:"why"`
	// Unknown counts the calls about it without an answer, which were repeated.
	Unknown int `json:"unknown,omitempty"`
}

// Replay counts how often an operator had a dead letter judged again that must stay
// open: by calls that were answered, and by calls that may have been carried out.
type Replay struct {
	Letter DeadLetter `json:"letter"`
	By     string     `json:"by"`
	Why    string     `json:"why"`
	// Answered counts the calls with an answer, and Unknown those without one.
	Answered int `json:"answered"`
	Unknown  int `json:"unknown,omitempty"`
}

// AuditEntry is a row of the audit log.
type AuditEntry struct {
	ID     int64  `json:"id"`
	Who    string `json:"who"`
	Action string `json:"action"`
	// Letter is the id of the dead letter that the target names, or 0, and Event and Order
	// are those of the letter.
	Letter int64  `json:"letter,omitempty"`
	Target string `json:"target"`
	Order  string `json:"order,omitempty"`
	Why    string `json:"why"`
	Before string `json:"before"`
	After  string `json:"after"`
	// At is in microseconds since 1970.
	At int64 `json:"at"`
}

// Rederived is what the program reports when it folds all histories again and compares
// the results with the stored orders and disputes.
type Rederived struct {
	Orders      int64        `json:"orders"`
	Disputes    int64        `json:"disputes"`
	Events      int64        `json:"events"`
	Differences []Difference `json:"items,omitempty"`
}

// Difference is a field that is not what the history folds to.
type Difference struct {
	Order   string `json:"order_id,omitempty"`
	Source  string `json:"source,omitempty"`
	Dispute string `json:"dispute_id,omitempty"`
	Field   string `json:"field"`
	Stored  string `json:"stored,omitempty"`
	Derived string `json:"derived,omitempty"`
}

// Listing is all pages of the orders that the api role lists, read one after the other
// while the run goes on. Times are microseconds since the run began.
type Listing struct {
	// From is when the first page was requested, and Done when the last one was answered.
	From int64 `json:"from"`
	Done int64 `json:"done"`
	// Ascending means that the oldest order comes first.
	Ascending bool `json:"ascending,omitempty"`
	// Orders are the ids on all pages.
	Orders []string `json:"orders"`
	// Defect is what is wrong with an answer.
	Defect string `json:"defect,omitempty"`
}
