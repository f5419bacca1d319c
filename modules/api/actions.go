package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// maxActions is the largest number of dead letters that one call handles.
	maxActions = 500
	// rederiveEvents is the number of events that select the orders and disputes of one
	// call of Rederive.
	rederiveEvents = 500
	// actionTimeout is the deadline of one action. It is shorter than the write timeout of
	// the listener, so that the caller gets an answer.
	actionTimeout = 15 * time.Second
)

// decision checks who acts, and why. The reason and the name are required unless dry is
// set.
func (o *Operator) decision(ctx context.Context, in *checks, d *payrelayv1.Decision, dry bool) (who, why string) {
	token, person := o.caller(ctx), strings.TrimSpace(d.GetOperator())
	why = strings.TrimSpace(d.GetReason())
	switch {
	case len(why) > payments.MaxTextBytes:
		in.refuse("invalid_reason", "decision.reason has more than %d bytes: shorten it", payments.MaxTextBytes)
	case person != "" && (!isID(person) || strings.ContainsFunc(person, isHidden)):
		in.refuse("invalid_operator", "decision.operator is not a name: send printable UTF-8 of at most %d bytes", payments.MaxIDBytes)
	case dry:
	case !strings.ContainsFunc(why, isVisible):
		in.refuse("reason_required", "decision.reason is missing: give the reason, which the audit log keeps")
	case person == "" && token == "":
		in.refuse("operator_required", "decision.operator is missing: name the person who decides, because the call has no token")
	}
	switch {
	case token == "":
		who = person
	case person == "":
		who = token
	default:
		who = fmt.Sprintf("%s (%s)", token, person)
	}
	return who, payments.PlainText(why)
}

// isHidden reports whether r cannot be seen, such as a space without width, or changes how
// the text around it is shown. The audit log must name a person as its reader sees it.
func isHidden(r rune) bool { return !unicode.IsGraphic(r) }

func isVisible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// selection is a checked selection of dead letters.
type selection struct {
	ids   []int64
	query payments.DeadLetterQuery
}

// selection checks the selection of dead letters of an action.
func (c *checks) selection(s *payrelayv1.Selection) selection {
	selected := selection{ids: s.GetIds()}
	switch ids := len(s.GetIds()); {
	case ids == 0:
		selected.query = c.selectedBy(s)
		return selected
	case s.GetFilter() != nil || s.GetAfterId() != 0 || s.GetUpToId() != 0 || s.GetLimit() != 0:
		c.refuse("invalid_selection", "selection has ids and other fields: send ids alone, or a filter with after_id, up_to_id and limit")
	case ids > maxActions:
		c.refuse("too_many_values", "selection.ids has %d ids: send at most %d in one request", ids, maxActions)
		return selected
	}
	for i, id := range s.GetIds() {
		if c.letterID("selection.ids", id); slices.Contains(s.GetIds()[:i], id) {
			c.refuse("repeated_id", "selection.ids has %d twice: send each id once", id)
		}
	}
	return selected
}

// selectedBy checks the filter of a selection. It refuses an empty one, which would select
// everything by mistake.
func (c *checks) selectedBy(s *payrelayv1.Selection) payments.DeadLetterQuery {
	f := s.GetFilter()
	query := c.letterFilter(f)
	query.AfterID, query.UpToID, query.Limit = s.GetAfterId(), s.GetUpToId(), int(s.GetLimit())
	switch {
	case f.GetSettled():
		c.refuse("invalid_filter", "filter.settled is set: an action by filter takes open dead letters only, so leave it out, or send ids")
	case len(f.GetReasons())+len(f.GetSources())+len(f.GetKinds())+len(f.GetOrderIds()) == 0 && f.GetTimeFrom() == nil && f.GetTimeTo() == nil && f.GetText() == "":
		c.refuse("empty_selection", "selection is empty: send ids, or a filter with at least one field")
	case query.AfterID < 0 || query.UpToID < 0:
		c.refuse("invalid_id", "after_id and up_to_id must not be negative: send those of the previous response, or leave them out")
	case query.Limit < 0 || query.Limit > maxActions:
		c.refuse("invalid_limit", "selection.limit must be an integer from 1 to %d", maxActions)
	}
	if query.Limit == 0 {
		query.Limit = maxActions
	}
	return query
}

// ReplayDeadLetters judges dead letters again.
func (o *Operator) ReplayDeadLetters(ctx context.Context, req *payrelayv1.ReplayDeadLettersRequest) (*payrelayv1.ReplayDeadLettersResponse, error) {
	report, err := o.decide(ctx, payments.Replayed, req)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ReplayDeadLettersResponse{Report: report}, nil
}

// AcceptDeadLetters applies dead letters although they contradict their histories.
func (o *Operator) AcceptDeadLetters(ctx context.Context, req *payrelayv1.AcceptDeadLettersRequest) (*payrelayv1.AcceptDeadLettersResponse, error) {
	report, err := o.decide(ctx, payments.Accepted, req)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.AcceptDeadLettersResponse{Report: report}, nil
}

// DiscardDeadLetters settles dead letters without applying them.
func (o *Operator) DiscardDeadLetters(ctx context.Context, req *payrelayv1.DiscardDeadLettersRequest) (*payrelayv1.DiscardDeadLettersResponse, error) {
	report, err := o.decide(ctx, payments.Discarded, req)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.DiscardDeadLettersResponse{Report: report}, nil
}

// actionNames has the names of the actions for the log.
var actionNames = map[payments.Resolution]payments.Action{
	payments.Replayed: payments.ActionReplay, payments.Accepted: payments.ActionAccept, payments.Discarded: payments.ActionDiscard,
}

// action is the request of an action.
type action interface {
	GetSelection() *payrelayv1.Selection
	GetDecision() *payrelayv1.Decision
	GetDryRun() bool
}

// decide carries out an action.
func (o *Operator) decide(ctx context.Context, resolution payments.Resolution, req action) (*payrelayv1.ActionReport, error) {
	var in checks
	selected := in.selection(req.GetSelection())
	who, why := o.decision(ctx, &in, req.GetDecision(), req.GetDryRun())
	if err := in.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	report := new(payrelayv1.ActionReport)
	ids := selected.ids
	if len(ids) == 0 {
		var err error
		if ids, err = o.part(ctx, &selected.query, report); err != nil || len(ids) == 0 {
			return report, err
		}
	}
	name := string(actionNames[resolution])
	results, err := o.ledger.Decide(ctx, ids, payments.Decision{Resolution: resolution, By: who, Why: why, Dry: req.GetDryRun()})
	if err != nil {
		return nil, o.failed(ctx, name, err, req.GetDryRun())
	}
	report.Results = convert(results, func(d payments.Decided) *payrelayv1.ActionResult { return o.resultMessage(ctx, name, d) })
	if !req.GetDryRun() {
		o.log.InfoContext(ctx, "an operator acted", "who", who, "action", name, "target", lettersText(ids), "why", why, "request_id", requestIDOf(ctx))
	}
	return report, nil
}

// part reads the ids that one call handles of a filter, and adds to the report how to
// continue.
func (o *Operator) part(ctx context.Context, query *payments.DeadLetterQuery, report *payrelayv1.ActionReport) ([]int64, error) {
	if query.UpToID == 0 {
		newest := *query
		newest.AfterID, newest.Descending, newest.Limit = 0, true, 1
		letters, err := read(ctx, o.log, "newest dead letter", o.store.DeadLetters, newest)
		if err != nil || len(letters) == 0 {
			return nil, err
		}
		query.UpToID = letters[0].ID
	}
	report.UpToId = query.UpToID
	asked := *query
	asked.Limit++
	letters, err := read(ctx, o.log, "selected dead letters", o.store.DeadLetters, asked)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, letter := range letters[:min(len(letters), query.Limit)] {
		ids = append(ids, letter.ID)
	}
	if len(letters) <= query.Limit {
		return ids, nil
	}
	report.NextAfterId = ids[len(ids)-1]
	rest := *query
	rest.AfterID, rest.Limit = report.NextAfterId, 0
	report.Remaining, err = read(ctx, o.log, "number of selected dead letters", o.store.RemainingDeadLetters, rest)
	return ids, err
}

// lettersText names dead letters for the log.
func lettersText(ids []int64) string {
	if len(ids) == 1 {
		return fmt.Sprintf("dead letter %d", ids[0])
	}
	return fmt.Sprintf("%d dead letters, %d to %d", len(ids), slices.Min(ids), slices.Max(ids))
}

// resultMessage returns the result of one dead letter. Only the log has the cause of an
// error of the database or of a panic.
func (o *Operator) resultMessage(ctx context.Context, name string, d payments.Decided) *payrelayv1.ActionResult {
	result := &payrelayv1.ActionResult{Id: d.ID, Outcome: d.Outcome}
	unstorable := errors.Is(d.Err, payments.ErrUnstorable)
	switch {
	case errors.Is(d.Err, payments.ErrNotFound):
		result.Skipped = "there is no dead letter with this id"
	case unstorable, errors.Is(d.Err, payments.ErrPanic):
		o.log.Warn("a dead letter was skipped", "request_id", requestIDOf(ctx), "action", name, "dead_letter", d.ID, "error", d.Err)
		result.Skipped = payments.ErrPanic.Error() + ": the log has the details"
		if unstorable {
			result.Skipped = payments.ErrUnstorable.Error() + " of its update, and the log has the details: discard it, and correct the data at the provider"
		}
	case d.Err != nil:
		result.Skipped = payments.PlainText(d.Err.Error())
	}
	return result
}

// failed returns the error of an action that may have been carried out in part, unless dry
// is set.
func (o *Operator) failed(ctx context.Context, name string, err error, dry bool) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return rpcError(context.DeadlineExceeded)
	}
	o.log.Warn("an action of an operator failed", "request_id", requestIDOf(ctx), "action", name, "error", err)
	if dry {
		return rpcError(&refusal{codeUnavailable, "the dry run did not finish, and changed nothing: send the same request again"})
	}
	return rpcError(&refusal{codeUnavailable, "the action may have been carried out in part: send the same request again, which repeats nothing"})
}

// Rederive folds stored histories again and compares the results with the stored orders
// and disputes.
func (o *Operator) Rederive(ctx context.Context, req *payrelayv1.RederiveRequest) (*payrelayv1.RederiveResponse, error) {
	var in checks
	query := payments.SubjectQuery{
		Sources:  in.ids("sources", req.GetSources()),
		OrderIDs: in.ids("order_ids", req.GetOrderIds()),
		Limit:    rederiveEvents,
	}
	query.From, query.To = in.period("time", req.GetTimeFrom(), req.GetTimeTo())
	if req.GetCursor() != "" {
		var ok bool
		if query.AfterSequence, ok = decodeProgress(req.GetCursor()); !ok {
			in.refuse("invalid_cursor", "cursor must be the next_cursor of the previous response: leave it out to begin")
		}
	}
	who, why := o.decision(ctx, &in, req.GetDecision(), req.GetDryRun())
	if err := in.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	done, err := o.ledger.Rederive(ctx, o.store, payments.Rederivation{Query: query, Correct: !req.GetDryRun(), By: who, Why: why})
	if err != nil {
		return nil, o.failed(ctx, string(payments.ActionRederive), err, req.GetDryRun())
	}
	if !req.GetDryRun() {
		o.log.InfoContext(ctx, "an operator acted", "who", who, "action", payments.ActionRederive, "target",
			fmt.Sprintf("%d orders and %d disputes, %d differences", done.Orders, done.Disputes, len(done.Differences)), "why", why, "request_id", requestIDOf(ctx))
	}
	return &payrelayv1.RederiveResponse{
		Orders: done.Orders, Disputes: done.Disputes, Events: done.Events,
		Differences: convert(done.Differences, differenceMessage), NextCursor: encodeProgress(done.Next),
	}, nil
}

// encodeProgress returns the cursor of a sequence, or "" for 0.
func encodeProgress(sequence int64) string {
	if sequence == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte("rederive " + strconv.FormatInt(sequence, 10)))
}

func decodeProgress(cursor string) (int64, bool) {
	text, _ := base64.RawURLEncoding.DecodeString(cursor)
	digits, _ := strings.CutPrefix(string(text), "rederive ")
	sequence, err := strconv.ParseInt(digits, 10, 64)
	return sequence, err == nil && sequence > 0 && encodeProgress(sequence) == cursor
}
