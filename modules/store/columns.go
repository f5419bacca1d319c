package store

// The columns of the tables, in sequences that every engine reads them in.
const (
	OrderColumns   = "status, user_id, amount, currency, created_at, updated_at"
	DisputeColumns = "dispute_id, order_id, status, user_id, reason, amount, currency, opened_at, updated_at, evidence_due_at"
	HeadColumns    = "head_at, head_rank, head_event_id"
	EventColumns   = `provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
		occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, recorded_at, schema_version, digest`
	LetterColumns = "provider, event_id, digest, reason, detail, order_id, dispute_id, payload, created_at, resolution, resolved_at"
)
