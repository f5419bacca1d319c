package operate

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

var update = flag.Bool("update", false, "write the golden files")

// fake is a service with made-up answers. A method that a test does not expect panics.
type fake struct {
	payrelayv1connect.QueryServiceClient
	payrelayv1connect.OperatorServiceClient

	letters   []*payrelayv1.DeadLetter
	body      []byte
	orders    []*payrelayv1.Order
	disputes  []*payrelayv1.Dispute
	explained *payrelayv1.ExplainOrderResponse
	sources   []*payrelayv1.Source
	audit     []*payrelayv1.AuditEntry
	rederived []*payrelayv1.RederiveResponse
	// act judges one dead letter.
	act func(id int64) *payrelayv1.ActionResult
	// part is the number of dead letters that one call of an action handles.
	part int
	// asked has the requests, in their order.
	asked []any
}

// run executes a command on the fake.
func (f *fake) run(t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	open := func(ctx context.Context, _ flags.Data, use func(Service) error) error { return use(f) }
	root := &cobra.Command{Use: "app", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(New(open)...)
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// golden compares the output of a command with a file.
func (f *fake) golden(t *testing.T, name string, args ...string) {
	t.Helper()
	out, notes, err := f.run(t, args...)
	if err != nil {
		t.Fatalf("app %q = %v", args, err)
	}
	got := out
	if notes != "" {
		got += "--- standard error\n" + notes
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("app %q =\n%s\nwant\n%s", args, got, want)
	}
}

func at(text string) *timestamppb.Timestamp {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(t)
}

// slice returns one page of items. A cursor is the index of the first item.
func slice[T any](items []T, page *payrelayv1.Page) (part []T, next string) {
	first := 0
	if page.GetCursor() != "" {
		first = int(page.GetCursor()[0] - '0')
	}
	last := min(first+int(page.GetLimit()), len(items))
	if last < len(items) {
		next = string(rune('0' + last))
	}
	return items[first:last], next
}

func (f *fake) ListDeadLetters(_ context.Context, r *payrelayv1.ListDeadLettersRequest) (*payrelayv1.ListDeadLettersResponse, error) {
	f.asked = append(f.asked, r)
	part, next := slice(f.letters, r.GetPage())
	return &payrelayv1.ListDeadLettersResponse{DeadLetters: part, NextCursor: next, Total: int64(len(f.letters))}, nil
}

func (f *fake) CountDeadLetters(context.Context, *payrelayv1.CountDeadLettersRequest) (*payrelayv1.CountDeadLettersResponse, error) {
	n := int64(len(f.letters))
	return &payrelayv1.CountDeadLettersResponse{Total: n, Counts: []*payrelayv1.DeadLetterCount{
		{Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION, Source: "shop", Count: n},
	}}, nil
}

func (f *fake) GetDeadLetter(_ context.Context, r *payrelayv1.GetDeadLetterRequest) (*payrelayv1.GetDeadLetterResponse, error) {
	for _, d := range f.letters {
		if d.GetId() == r.GetId() {
			return &payrelayv1.GetDeadLetterResponse{DeadLetter: d}, nil
		}
	}
	return nil, connect.NewError(connect.CodeNotFound, errNoLetter)
}

func (f *fake) GetBody(_ context.Context, r *payrelayv1.GetBodyRequest) (*payrelayv1.GetBodyResponse, error) {
	f.asked = append(f.asked, r)
	return &payrelayv1.GetBodyResponse{Body: f.body}, nil
}

// action judges the dead letters of a selection.
func (f *fake) action(s *payrelayv1.Selection) *payrelayv1.ActionReport {
	report := &payrelayv1.ActionReport{}
	ids := s.GetIds()
	if s.GetFilter() != nil {
		report.UpToId = 99
		for _, d := range f.letters {
			if d.GetId() > s.GetAfterId() {
				ids = append(ids, d.GetId())
			}
		}
		if len(ids) > f.part {
			report.Remaining = int64(len(ids) - f.part)
			ids = ids[:f.part]
			report.NextAfterId = ids[f.part-1]
		}
	}
	for _, id := range ids {
		report.Results = append(report.Results, f.act(id))
	}
	return report
}

func (f *fake) ReplayDeadLetters(_ context.Context, r *payrelayv1.ReplayDeadLettersRequest) (*payrelayv1.ReplayDeadLettersResponse, error) {
	f.asked = append(f.asked, r)
	return &payrelayv1.ReplayDeadLettersResponse{Report: f.action(r.GetSelection())}, nil
}

func (f *fake) AcceptDeadLetters(_ context.Context, r *payrelayv1.AcceptDeadLettersRequest) (*payrelayv1.AcceptDeadLettersResponse, error) {
	f.asked = append(f.asked, r)
	return &payrelayv1.AcceptDeadLettersResponse{Report: f.action(r.GetSelection())}, nil
}

func (f *fake) DiscardDeadLetters(_ context.Context, r *payrelayv1.DiscardDeadLettersRequest) (*payrelayv1.DiscardDeadLettersResponse, error) {
	f.asked = append(f.asked, r)
	return &payrelayv1.DiscardDeadLettersResponse{Report: f.action(r.GetSelection())}, nil
}

func (f *fake) ListOrders(_ context.Context, r *payrelayv1.ListOrdersRequest) (*payrelayv1.ListOrdersResponse, error) {
	f.asked = append(f.asked, r)
	part, next := slice(f.orders, r.GetPage())
	return &payrelayv1.ListOrdersResponse{Orders: part, NextCursor: next}, nil
}

func (f *fake) ListDisputes(_ context.Context, r *payrelayv1.ListDisputesRequest) (*payrelayv1.ListDisputesResponse, error) {
	f.asked = append(f.asked, r)
	part, next := slice(f.disputes, r.GetPage())
	return &payrelayv1.ListDisputesResponse{Disputes: part, NextCursor: next}, nil
}

func (f *fake) ExplainOrder(_ context.Context, r *payrelayv1.ExplainOrderRequest) (*payrelayv1.ExplainOrderResponse, error) {
	if o := f.explained.GetOrder(); o != nil && r.GetOrderId() != o.GetOrderId() {
		return nil, connect.NewError(connect.CodeNotFound, errNoLetter)
	}
	return f.explained, nil
}

func (f *fake) ExplainDispute(_ context.Context, r *payrelayv1.ExplainDisputeRequest) (*payrelayv1.ExplainDisputeResponse, error) {
	f.asked = append(f.asked, r)
	if len(f.disputes) > 0 && f.disputes[0].GetDisputeId() != r.GetDisputeId() {
		return nil, connect.NewError(connect.CodeNotFound, errNoLetter)
	}
	e := f.explained
	answer := &payrelayv1.ExplainDisputeResponse{Sentences: e.GetSentences(), Timeline: e.GetTimeline(), Earlier: e.GetEarlier(), DeadLetters: e.GetDeadLetters()}
	if len(f.disputes) > 0 {
		answer.Dispute = f.disputes[0]
	}
	return answer, nil
}

func (f *fake) ListSources(context.Context, *payrelayv1.ListSourcesRequest) (*payrelayv1.ListSourcesResponse, error) {
	return &payrelayv1.ListSourcesResponse{Sources: f.sources}, nil
}

func (f *fake) ListAudit(_ context.Context, r *payrelayv1.ListAuditRequest) (*payrelayv1.ListAuditResponse, error) {
	f.asked = append(f.asked, r)
	part, next := slice(f.audit, r.GetPage())
	return &payrelayv1.ListAuditResponse{Entries: part, NextCursor: next}, nil
}

func (f *fake) Rederive(_ context.Context, r *payrelayv1.RederiveRequest) (*payrelayv1.RederiveResponse, error) {
	f.asked = append(f.asked, r)
	part := f.rederived[0]
	f.rederived = f.rederived[1:]
	return part, nil
}
