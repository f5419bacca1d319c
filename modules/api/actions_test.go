package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

var because = &payrelayv1.Decision{Reason: "the bank confirms it", Operator: "ann"}

func byIDs(ids ...int64) *payrelayv1.Selection { return &payrelayv1.Selection{Ids: ids} }

func byFilter(f *payrelayv1.DeadLetterFilter) *payrelayv1.Selection {
	return &payrelayv1.Selection{Filter: f}
}

// act calls one of the three actions.
func act(ctx context.Context, o *Operator, resolution payments.Resolution, selection *payrelayv1.Selection, decision *payrelayv1.Decision, dry bool) (*payrelayv1.ActionReport, error) {
	switch resolution {
	case payments.Accepted:
		answer, err := o.AcceptDeadLetters(ctx, &payrelayv1.AcceptDeadLettersRequest{Selection: selection, Decision: decision, DryRun: dry})
		return answer.GetReport(), err
	case payments.Discarded:
		answer, err := o.DiscardDeadLetters(ctx, &payrelayv1.DiscardDeadLettersRequest{Selection: selection, Decision: decision, DryRun: dry})
		return answer.GetReport(), err
	default:
		answer, err := o.ReplayDeadLetters(ctx, &payrelayv1.ReplayDeadLettersRequest{Selection: selection, Decision: decision, DryRun: dry})
		return answer.GetReport(), err
	}
}

var resolutions = []payments.Resolution{payments.Replayed, payments.Accepted, payments.Discarded}

func TestActionsByIDs(t *testing.T) {
	for _, resolution := range resolutions {
		for _, dry := range []bool{false, true} {
			d := new(decider)
			report, err := act(t.Context(), operatorOf(lettersOf(3), d, "ops"), resolution, byIDs(3, 1), because, dry)
			if err != nil {
				t.Fatal(err)
			}
			want := payments.Decision{Resolution: resolution, By: "ops (ann)", Why: "the bank confirms it", Dry: dry}
			if d.calls != 1 || !slices.Equal(d.ids, []int64{3, 1}) || d.decision != want {
				t.Errorf("Decide(%v, %+v) after %d calls, want 3, 1 and %+v", d.ids, d.decision, d.calls, want)
			}
			if r := report.GetResults(); len(r) != 2 || r[0].GetId() != 3 || r[1].GetId() != 1 || r[0].GetOutcome().GetVerdict() != payrelayv1.Verdict_VERDICT_APPLIED {
				t.Errorf("results = %v, want 3 and 1, applied", r)
			}
			if report.GetNextAfterId() != 0 || report.GetRemaining() != 0 || report.GetUpToId() != 0 {
				t.Errorf("report = %v, want one that is complete", report)
			}
		}
	}
}

// An action by filter is done in parts. Dead letters that came after it began are left
// out.
func TestActionsByFilter(t *testing.T) {
	m, d := lettersOf(11), new(decider)
	o := operatorOf(m, d, "ops")
	selection := byFilter(&payrelayv1.DeadLetterFilter{Sources: []string{"generic"}})
	selection.Limit = 2
	var parts []string
	for {
		report, err := act(t.Context(), o, payments.Replayed, selection, because, false)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf("%v left %d", d.ids, report.GetRemaining()))
		if report.GetUpToId() != 11 || len(report.GetResults()) != len(d.ids) {
			t.Errorf("report = %v, want up_to_id 11 and a result for each id", report)
		}
		if selection.AfterId, selection.UpToId = report.GetNextAfterId(), report.GetUpToId(); selection.AfterId == 0 {
			break
		}
		m.letters = append(m.letters, &payments.DeadLetter{ID: int64(len(m.letters) + 1), Key: payments.Key{Source: "generic"}, Reason: conflict})
	}
	if want := []string{"[1 3] left 4", "[5 7] left 2", "[9 11] left 0"}; !slices.Equal(parts, want) {
		t.Errorf("parts = %q, want %q", parts, want)
	}
}

func TestActionsByFilterAreBounded(t *testing.T) {
	d := new(decider)
	report, err := act(t.Context(), operatorOf(lettersOf(maxActions+2), d, "ops"), payments.Discarded, byFilter(&payrelayv1.DeadLetterFilter{Kinds: []string{"order"}}), because, false)
	if err != nil || len(d.ids) != maxActions || report.GetNextAfterId() != maxActions || report.GetRemaining() != 2 {
		t.Errorf("Decide(%d ids), report next %d, remaining %d, %v, want %d ids and 2 left", len(d.ids), report.GetNextAfterId(), report.GetRemaining(), err, maxActions)
	}
	// A filter that selects none does nothing.
	d = new(decider)
	report, err = act(t.Context(), operatorOf(lettersOf(3), d, "ops"), payments.Discarded, byFilter(&payrelayv1.DeadLetterFilter{Sources: []string{"none"}}), because, false)
	if err != nil || d.calls != 0 || len(report.GetResults()) != 0 || report.GetNextAfterId() != 0 {
		t.Errorf("report = %v, %v after %d calls of Decide, want an empty one", report, err, d.calls)
	}
}

func TestSkippedDeadLetters(t *testing.T) {
	settled := fmt.Errorf("%w: accepted at 2026-01-04T12:00:00Z by ops (the bank\nconfirms it)", payments.ErrSettled)
	d := &decider{results: []payments.Decided{{ID: 1, Err: payments.ErrNotFound}, {ID: 2, Err: settled}, {ID: 3, Err: payments.ErrNotJudgeable}, {ID: 4}}}
	report, err := act(t.Context(), operatorOf(lettersOf(0), d, "ops"), payments.Discarded, byIDs(1, 2, 3, 4), because, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"there is no dead letter with this id", "settled already: accepted at 2026-01-04T12:00:00Z by ops (the bank confirms it)", "discard it", ""} {
		got := report.GetResults()[i]
		if !strings.Contains(got.GetSkipped(), want) || (want == "") != (got.GetSkipped() == "") || got.GetOutcome() != nil {
			t.Errorf("result = %v, want one that is skipped because %q", got, want)
		}
	}
}

// TestSkippedForAnErrorOfTheDatabase checks that a client gets no error text of the database
// or of a panic, which the log has.
func TestSkippedForAnErrorOfTheDatabase(t *testing.T) {
	for kind, want := range map[error]string{payments.ErrUnstorable: "the database refuses a value", payments.ErrPanic: "a defect of this release"} {
		var lines bytes.Buffer
		d := &decider{results: []payments.Decided{{ID: 7, Err: fmt.Errorf("%w: ERROR 22P05 in column secret", kind)}}}
		o := NewOperator(OperatorConfig{Store: lettersOf(0), Ledger: d, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		report, err := act(t.Context(), o, payments.Accepted, byIDs(7), because, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.GetResults()[0].GetSkipped(); !strings.Contains(got, want) || strings.Contains(got, "22P05") || strings.Contains(got, "column") {
			t.Errorf("skipped = %q, want %q without the text of the cause", got, want)
		}
		if logged := lines.String(); !strings.Contains(logged, "22P05") || !strings.Contains(logged, "dead_letter=7") {
			t.Errorf("the log has %q, want the dead letter and the cause", logged)
		}
	}
}

func TestWhoDecides(t *testing.T) {
	for _, test := range []struct{ token, person, want string }{
		{"ops", "ann", "ops (ann)"}, {"ops", "", "ops"}, {"", " ann ", "ann"}, {"ops", "  ", "ops"},
		{"", "山田\u3000太郎", "山田\u3000太郎"},
	} {
		d := new(decider)
		_, err := act(t.Context(), operatorOf(lettersOf(1), d, test.token), payments.Accepted, byIDs(1), &payrelayv1.Decision{Reason: " why\n", Operator: test.person}, false)
		if err != nil || d.decision.By != test.want || d.decision.Why != "why" {
			t.Errorf("token %q, operator %q: by %q because %q, %v, want %q because why", test.token, test.person, d.decision.By, d.decision.Why, err, test.want)
		}
	}
}

// A dry run changes nothing, so it needs neither a name nor a reason.
func TestDryRunNeedsNoReason(t *testing.T) {
	for _, resolution := range resolutions {
		d := new(decider)
		if _, err := act(t.Context(), operatorOf(lettersOf(1), d, ""), resolution, byIDs(1), nil, true); err != nil || !d.decision.Dry {
			t.Errorf("%s: %v, dry = %t, want a dry run", resolution, err, d.decision.Dry)
		}
	}
	d := new(decider)
	if _, err := operatorOf(lettersOf(1), d, "").Rederive(t.Context(), &payrelayv1.RederiveRequest{DryRun: true}); err != nil || d.rederive.Correct {
		t.Errorf("Rederive: %v, correct = %t, want a dry run", err, d.rederive.Correct)
	}
}

func TestMistakesInActions(t *testing.T) {
	sources := &payrelayv1.DeadLetterFilter{Sources: []string{"s"}}
	many := make([]int64, maxActions+1)
	for i := range many {
		many[i] = int64(i + 1)
	}
	past := timestamppb.New(time.Unix(-1, 0))
	for name, test := range map[string]struct {
		selection *payrelayv1.Selection
		decision  *payrelayv1.Decision
		code      string
	}{
		"no selection":        {nil, because, "empty_selection"},
		"empty selection":     {byIDs(), because, "empty_selection"},
		"empty filter":        {byFilter(new(payrelayv1.DeadLetterFilter)), because, "empty_selection"},
		"only after_id":       {&payrelayv1.Selection{AfterId: 1}, because, "empty_selection"},
		"settled":             {byFilter(&payrelayv1.DeadLetterFilter{Settled: true, Sources: []string{"s"}}), because, "invalid_filter"},
		"ids and filter":      {&payrelayv1.Selection{Ids: []int64{1}, Filter: sources}, because, "invalid_selection"},
		"ids and limit":       {&payrelayv1.Selection{Ids: []int64{1}, Limit: 1}, because, "invalid_selection"},
		"too many ids":        {byIDs(many...), because, "too_many_values"},
		"id 0":                {byIDs(0), because, "invalid_id"},
		"negative id":         {byIDs(1, -1), because, "invalid_id"},
		"repeated id":         {byIDs(1, 2, 1), because, "repeated_id"},
		"negative after_id":   {&payrelayv1.Selection{Filter: sources, AfterId: -1}, because, "invalid_id"},
		"negative up_to_id":   {&payrelayv1.Selection{Filter: sources, UpToId: -1}, because, "invalid_id"},
		"negative limit":      {&payrelayv1.Selection{Filter: sources, Limit: -1}, because, "invalid_limit"},
		"large limit":         {&payrelayv1.Selection{Filter: sources, Limit: maxActions + 1}, because, "invalid_limit"},
		"unknown reason":      {byFilter(&payrelayv1.DeadLetterFilter{Reasons: []payrelayv1.DeadLetterReason{999}}), because, "unknown_reason"},
		"no reason in filter": {byFilter(&payrelayv1.DeadLetterFilter{Reasons: []payrelayv1.DeadLetterReason{0}}), because, "unknown_reason"},
		"unknown kind":        {byFilter(&payrelayv1.DeadLetterFilter{Kinds: []string{"Order"}}), because, "unknown_kind"},
		"empty source":        {byFilter(&payrelayv1.DeadLetterFilter{Sources: []string{""}}), because, "empty_value"},
		"many sources":        {byFilter(&payrelayv1.DeadLetterFilter{Sources: slices.Repeat([]string{"s"}, 201)}), because, "too_many_values"},
		"order id":            {byFilter(&payrelayv1.DeadLetterFilter{OrderIds: []string{"a\n"}}), because, "invalid_id"},
		"text":                {byFilter(&payrelayv1.DeadLetterFilter{Text: "\x00"}), because, "invalid_text"},
		"time":                {byFilter(&payrelayv1.DeadLetterFilter{TimeFrom: past}), because, "invalid_time"},
		"period":              {byFilter(&payrelayv1.DeadLetterFilter{TimeFrom: timestamppb.New(noon), TimeTo: timestamppb.New(noon)}), because, "invalid_time"},
		"no decision":         {byIDs(1), nil, "reason_required"},
		"blank reason":        {byIDs(1), &payrelayv1.Decision{Reason: " \n", Operator: "ann"}, "reason_required"},
		"invisible reason":    {byIDs(1), &payrelayv1.Decision{Reason: "\u200b\u00a0", Operator: "ann"}, "reason_required"},
		"long reason":         {byIDs(1), &payrelayv1.Decision{Reason: strings.Repeat("x", 1025), Operator: "ann"}, "invalid_reason"},
		"no operator":         {byIDs(1), &payrelayv1.Decision{Reason: "x"}, "operator_required"},
		"long operator":       {byIDs(1), &payrelayv1.Decision{Reason: "x", Operator: strings.Repeat("x", 256)}, "invalid_operator"},
		"invisible operator":  {byIDs(1), &payrelayv1.Decision{Reason: "x", Operator: "\u200b"}, "invalid_operator"},
		"reversed operator":   {byIDs(1), &payrelayv1.Decision{Reason: "x", Operator: "a\u202eb"}, "invalid_operator"},
		"odd operator":        {byIDs(1), &payrelayv1.Decision{Reason: "x", Operator: "a\nb"}, "invalid_operator"},
	} {
		for _, resolution := range resolutions {
			m, d := lettersOf(3), new(decider)
			_, err := act(t.Context(), operatorOf(m, d, ""), resolution, test.selection, test.decision, false)
			wantRefusal(t, fmt.Sprintf("%s: %s", resolution, name), err, test.code)
			if d.calls != 0 || m.asked != nil {
				t.Errorf("%s: %s: Decide was called %d times and %+v was read, want neither", resolution, name, d.calls, m.asked)
			}
		}
	}
}

// An action that fails may be done in part. The client learns no cause.
func TestFailedActions(t *testing.T) {
	calls := map[string]func(context.Context, *Operator) error{
		"replay": func(ctx context.Context, o *Operator) error {
			return errorOf(act(ctx, o, payments.Replayed, byIDs(1), because, false))
		},
		"rederive": func(ctx context.Context, o *Operator) error {
			return errorOf(o.Rederive(ctx, &payrelayv1.RederiveRequest{Decision: because}))
		},
	}
	for name, call := range calls {
		var log strings.Builder
		d := &decider{fail: func(context.Context) error { return errors.New("dial postgres://user:secret@db") }}
		o := NewOperator(OperatorConfig{Store: lettersOf(1), Ledger: d, Log: slog.New(slog.NewTextHandler(&log, nil))})
		err := call(t.Context(), o)
		wantRefusal(t, name, err, "unavailable")
		if strings.Contains(err.Error(), "secret") || !strings.Contains(log.String(), "dial") || strings.Contains(log.String(), "acted") {
			t.Errorf("%s: error = %v, log = %s, want the cause in the log only", name, err, log.String())
		}
		synctest.Test(t, func(t *testing.T) {
			d.fail = func(ctx context.Context) error { <-ctx.Done(); return errors.New("interrupted") }
			start := time.Now()
			wantRefusal(t, name, call(t.Context(), o), "deadline_exceeded")
			if took := time.Since(start); took != actionTimeout {
				t.Errorf("%s took %v, want %v", name, took, actionTimeout)
			}
		})
	}
}

// TestFailedDryRuns checks that a dry run that fails does not claim to have changed something.
func TestFailedDryRuns(t *testing.T) {
	d := &decider{fail: func(context.Context) error { return payments.ErrRaced }}
	o := operatorOf(lettersOf(1), d, "")
	for name, call := range map[string]func() error{
		"replay":   func() error { return errorOf(act(t.Context(), o, payments.Replayed, byIDs(1), nil, true)) },
		"rederive": func() error { return errorOf(o.Rederive(t.Context(), &payrelayv1.RederiveRequest{DryRun: true})) },
	} {
		err := call()
		wantRefusal(t, name, err, "unavailable")
		if strings.Contains(err.Error(), "in part") || !strings.Contains(err.Error(), "changed nothing") {
			t.Errorf("%s = %v, want that it changed nothing", name, err)
		}
	}
}

func TestActionsAreLogged(t *testing.T) {
	for name, test := range map[string]struct {
		call func(*Operator) error
		want []string
	}{
		"one": {func(o *Operator) error {
			return errorOf(act(t.Context(), o, payments.Accepted, byIDs(2), because, false))
		}, []string{"action=accept", `target="dead letter 2"`}},
		"several": {func(o *Operator) error {
			return errorOf(act(t.Context(), o, payments.Discarded, byIDs(2, 1), because, false))
		}, []string{"action=discard", `target="2 dead letters, 1 to 2"`}},
		"body": {func(o *Operator) error {
			return errorOf(o.GetBody(t.Context(), &payrelayv1.GetBodyRequest{DeadLetterId: 1, Decision: because}))
		}, []string{"action=read_body", `target="dead letter 1, order event \"e1\" of generic"`}},
		"rederive": {func(o *Operator) error {
			return errorOf(o.Rederive(t.Context(), &payrelayv1.RederiveRequest{Decision: because}))
		}, []string{"action=rederive", "2 differences"}},
	} {
		var log strings.Builder
		o := NewOperator(OperatorConfig{Store: lettersOf(2), Ledger: new(decider), Caller: func(context.Context) string { return "ops" }, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err := test.call(o); err != nil {
			t.Fatal(err)
		}
		for _, want := range append(test.want, `level=INFO msg="an operator acted"`, `who="ops (ann)"`, `why="the bank confirms it"`) {
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), want) {
				t.Errorf("%s: log = %s, want one line with %s", name, log.String(), want)
			}
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("%s: log = %s, want it without the body", name, log.String())
		}
	}
	var log strings.Builder
	o := NewOperator(OperatorConfig{Store: lettersOf(2), Ledger: new(decider), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := act(t.Context(), o, payments.Replayed, byIDs(1), nil, true); err != nil || log.Len() != 0 {
		t.Errorf("a dry run: %v, log = %s, want none", err, log.String())
	}
}

func TestRederive(t *testing.T) {
	d := &decider{next: 42}
	o := operatorOf(lettersOf(0), d, "ops")
	req := &payrelayv1.RederiveRequest{
		TimeFrom: timestamppb.New(noon), TimeTo: timestamppb.New(noon.Add(time.Hour)), Sources: []string{"s"}, OrderIds: []string{"o"}, Decision: because,
	}
	got, err := o.Rederive(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := payments.Rederivation{Correct: true, By: "ops (ann)", Why: because.GetReason(), Query: payments.SubjectQuery{
		From: noon, To: noon.Add(time.Hour), Sources: []string{"s"}, OrderIDs: []string{"o"}, Limit: rederiveEvents,
	}}
	if !reflect.DeepEqual(d.rederive, want) {
		t.Errorf("Rederive(%+v), want %+v", d.rederive, want)
	}
	differences := []*payrelayv1.Difference{
		{OrderId: "o", Field: "status", Stored: "created", Derived: "success"}, {Source: "s", DisputeId: "d", Field: "stage", Derived: "arbitration"},
	}
	if !proto.Equal(got, &payrelayv1.RederiveResponse{Orders: 1, Disputes: 2, Events: 3, Differences: differences, NextCursor: got.GetNextCursor()}) {
		t.Errorf("Rederive() = %v", got)
	}
	req.Cursor, d.next = got.GetNextCursor(), 0
	if got, err = o.Rederive(t.Context(), req); err != nil || d.rederive.Query.AfterSequence != 42 || got.GetNextCursor() != "" {
		t.Errorf("the second call begins after %d, %v, next %q, want 42 and no further one", d.rederive.Query.AfterSequence, err, got.GetNextCursor())
	}
	for name, test := range map[string]struct {
		change func(*payrelayv1.RederiveRequest)
		code   string
	}{
		"cursor": {func(r *payrelayv1.RederiveRequest) { r.Cursor = "abc" }, "invalid_cursor"},
		"other cursor": {func(r *payrelayv1.RederiveRequest) {
			r.Cursor = letterListing.encode(4, true)
		}, "invalid_cursor"},
		"source": {func(r *payrelayv1.RederiveRequest) { r.Sources = []string{""} }, "empty_value"},
		"period": {func(r *payrelayv1.RederiveRequest) { r.TimeTo = r.TimeFrom }, "invalid_time"},
		"reason": {func(r *payrelayv1.RederiveRequest) { r.Decision = nil }, "reason_required"},
	} {
		bad := proto.CloneOf(req)
		test.change(bad)
		before := d.calls
		_, err := o.Rederive(t.Context(), bad)
		wantRefusal(t, name, err, test.code)
		if d.calls != before {
			t.Errorf("%s: the ledger was called", name)
		}
	}
}
