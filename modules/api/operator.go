package api

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Letters reads dead letters.
type Letters interface {
	DeadLetters(ctx context.Context, query payments.DeadLetterQuery) ([]*payments.DeadLetter, error)
	CountDeadLetters(ctx context.Context, query payments.DeadLetterQuery) ([]payments.DeadLetterCount, error)
	// RemainingDeadLetters returns the number of those that a query selects after AfterID.
	RemainingDeadLetters(ctx context.Context, query payments.DeadLetterQuery) (int64, error)
	// DeadLetter returns payments.ErrNotFound if there is none with the id.
	DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error)
}

// OperatorStore reads what an Operator returns, and records who reads a body.
type OperatorStore interface {
	Letters
	payments.SubjectReader
	Audit(ctx context.Context, query payments.AuditQuery) (payments.Page[payments.AuditEntry], error)
	Sources(ctx context.Context) ([]payments.SourceActivity, error)
	// Body returns the body and the order of an event, or payments.ErrNotFound if there is
	// no such event.
	Body(ctx context.Context, key payments.Key) (body []byte, orderID string, err error)
	Commit(ctx context.Context, changes *payments.Changes) error
}

// Decider carries out the decisions of operators. It is a *payments.Ledger.
type Decider interface {
	Decide(ctx context.Context, ids []int64, d payments.Decision) ([]payments.Decided, error)
	Rederive(ctx context.Context, r payments.SubjectReader, asked payments.Rederivation) (*payments.Rederived, error)
}

// OperatorConfig holds the parts that an Operator uses.
type OperatorConfig struct {
	Store  OperatorStore
	Ledger Decider
	// Sources returns what the ingest role of the same process knows about its sources. It
	// is nil if there is no such role.
	Sources func() []*payrelayv1.Source
	// Caller returns the name of the token of a call, or "". It may be nil.
	Caller func(context.Context) string
	Log    *slog.Logger
}

// Operator implements the generated OperatorService, for RPC, for the REST paths, and for
// a caller in the same process. All errors have a Connect code. It does not check the
// role of the caller: the listener does.
type Operator struct {
	store   OperatorStore
	ledger  Decider
	sources func() []*payrelayv1.Source
	caller  func(context.Context) string
	log     *slog.Logger
}

// NewOperator returns an Operator.
func NewOperator(cfg OperatorConfig) *Operator {
	o := &Operator{store: cfg.Store, ledger: cfg.Ledger, sources: cfg.Sources, caller: cfg.Caller, log: cfg.Log}
	if o.sources == nil {
		o.sources = func() []*payrelayv1.Source { return nil }
	}
	if o.caller == nil {
		o.caller = func(context.Context) string { return "" }
	}
	return o
}

// letterFilter checks a filter of dead letters.
func (c *checks) letterFilter(f *payrelayv1.DeadLetterFilter) payments.DeadLetterQuery {
	query := payments.DeadLetterQuery{
		Reasons:  enums(c, "reasons", "reason", f.GetReasons(), payments.DeadLetterReasons),
		Sources:  c.ids("sources", f.GetSources()),
		OrderIDs: c.ids("order_ids", f.GetOrderIds()),
		Text:     f.GetText(),
		Settled:  f.GetSettled(),
	}
	for _, kind := range c.oneOf("kinds", "kind", f.GetKinds(), kinds) {
		query.Kinds = append(query.Kinds, payments.Kind(kind))
	}
	query.From, query.To = c.period("time", f.GetTimeFrom(), f.GetTimeTo())
	switch {
	case query.Text == "":
	case !isID(query.Text):
		c.refuse("invalid_text", "text must be UTF-8 without control characters, of at most %d bytes", payments.MaxIDBytes)
	case !strings.ContainsFunc(query.Text, isVisible):
		c.refuse("invalid_text", "text is only white space, which almost every dead letter contains: send a word, or leave it out")
	}
	return query
}

// kinds are the kinds of updates.
var kinds = []string{string(payments.KindOrder), string(payments.KindDispute), string(payments.KindNote)}

// ListDeadLetters returns one page of dead letters, with the number of all that the
// filter selects.
func (o *Operator) ListDeadLetters(ctx context.Context, req *payrelayv1.ListDeadLettersRequest) (*payrelayv1.ListDeadLettersResponse, error) {
	var in checks
	query := in.letterFilter(req.GetFilter())
	asked := in.page(letterListing, req.GetPage())
	if err := in.check(); err != nil {
		return nil, err
	}
	part := query
	part.Descending, part.Limit = !asked.Ascending, asked.Limit+1
	if asked.After != nil {
		part.AfterID = asked.After.Sequence
	}
	letters, err := read(ctx, o.log, "ListDeadLetters", o.store.DeadLetters, part)
	if err != nil {
		return nil, err
	}
	page := payments.Page[*payments.DeadLetter]{Items: letters[:min(len(letters), asked.Limit)], More: len(letters) > asked.Limit}
	answer := &payrelayv1.ListDeadLettersResponse{
		DeadLetters: convert(page.Items, letterMessage), NextCursor: nextCursor(letterListing, asked, page, letterSequence), Total: int64(len(letters)),
	}
	if page.More || asked.After != nil { // otherwise, this page has all
		rest, counted := query, int64(0)
		if asked.After == nil { // what this page was selected from is not read again
			rest.Descending, rest.AfterID, counted = part.Descending, letters[len(letters)-1].ID, int64(len(letters))
		}
		left, err := read(ctx, o.log, "ListDeadLetters", o.store.RemainingDeadLetters, rest)
		if err != nil {
			return nil, err
		}
		answer.Total = counted + left
	}
	return answer, nil
}

func letterSequence(d *payments.DeadLetter) int64 { return d.ID }

func total(counts []payments.DeadLetterCount) (sum int64) {
	for _, c := range counts {
		sum += c.Count
	}
	return sum
}

// CountDeadLetters returns the numbers of dead letters by reason and source.
func (o *Operator) CountDeadLetters(ctx context.Context, req *payrelayv1.CountDeadLettersRequest) (*payrelayv1.CountDeadLettersResponse, error) {
	var in checks
	query := in.letterFilter(req.GetFilter())
	if err := in.check(); err != nil {
		return nil, err
	}
	counts, err := read(ctx, o.log, "CountDeadLetters", o.store.CountDeadLetters, query)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(counts, func(a, b payments.DeadLetterCount) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Source, b.Source))
	})
	return &payrelayv1.CountDeadLettersResponse{Total: total(counts), Counts: convert(counts, func(c payments.DeadLetterCount) *payrelayv1.DeadLetterCount {
		return &payrelayv1.DeadLetterCount{Reason: c.Reason, Source: c.Source, Count: c.Count}
	})}, nil
}

// GetDeadLetter returns one dead letter with its update.
func (o *Operator) GetDeadLetter(ctx context.Context, req *payrelayv1.GetDeadLetterRequest) (*payrelayv1.GetDeadLetterResponse, error) {
	var in checks
	id := in.letterID("id", req.GetId())
	if err := in.check(); err != nil {
		return nil, err
	}
	letter, err := read(ctx, o.log, "GetDeadLetter", o.store.DeadLetter, id)
	if err != nil {
		return nil, err
	}
	answer := letterMessage(letter)
	if u := letterUpdate(letter); u != nil {
		answer.Update = withoutBody(u, u.GetBodySha256())
	}
	return &payrelayv1.GetDeadLetterResponse{DeadLetter: answer}, nil
}

func (c *checks) letterID(name string, id int64) int64 {
	if id < 1 {
		c.refuse("invalid_id", "%s is not the id of a dead letter: send one that the list of dead letters shows", name)
	}
	return id
}

// ListSources returns what is known about the sources of webhooks, by name.
func (o *Operator) ListSources(ctx context.Context, _ *payrelayv1.ListSourcesRequest) (*payrelayv1.ListSourcesResponse, error) {
	recorded, err := read(ctx, o.log, "ListSources", func(ctx context.Context, _ struct{}) ([]payments.SourceActivity, error) {
		return o.store.Sources(ctx)
	}, struct{}{})
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*payrelayv1.Source)
	for _, source := range o.sources() {
		source.OpenDeadLetters = new(int64)
		byName[source.GetName()] = source
	}
	for _, activity := range recorded {
		source := byName[activity.Source]
		if source == nil {
			source = &payrelayv1.Source{Name: activity.Source}
			byName[activity.Source] = source
		}
		source.LastEventAt, source.OpenDeadLetters = stamp(activity.LastEventAt), &activity.OpenDeadLetters
	}
	answer := new(payrelayv1.ListSourcesResponse)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		answer.Sources = append(answer.Sources, byName[name])
	}
	return answer, nil
}

// actions are the actions that the audit log records.
var actions = []string{
	string(payments.ActionReplay), string(payments.ActionAccept), string(payments.ActionDiscard),
	string(payments.ActionReadBody), string(payments.ActionRederive), "erase",
}

// ListAudit returns one page of the audit log.
func (o *Operator) ListAudit(ctx context.Context, req *payrelayv1.ListAuditRequest) (*payrelayv1.ListAuditResponse, error) {
	var in checks
	query := payments.AuditQuery{
		Actions:  in.oneOf("actions", "action", req.GetActions(), actions),
		OrderIDs: in.ids("order_ids", req.GetOrderIds()),
		Page:     in.page(auditListing, req.GetPage()),
	}
	query.From, query.To = in.period("time", req.GetTimeFrom(), req.GetTimeTo())
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := read(ctx, o.log, "ListAudit", o.store.Audit, query)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ListAuditResponse{Entries: convert(page.Items, auditMessage), NextCursor: nextCursor(auditListing, query.Page, page, auditSequence)}, nil
}

func auditSequence(a payments.AuditEntry) int64 { return a.ID }
