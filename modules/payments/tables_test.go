package payments

import (
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The matrices hold the state after two snapshots, the older in the row and the newer in
// the column. "!" is a contradiction, which keeps the older state. "+" means that the
// dispute was opened again, and "^" that the stage is that of the newer snapshot.
const (
	orderPairs = `
            created    updated    authorized failed     canceled   success    refunded   reversed
-           created    updated    authorized failed     canceled   success    success    reversed
created     created    updated    authorized failed     canceled   success    success    reversed
updated     updated    updated    authorized failed     canceled   success    success    reversed
authorized  authorized authorized authorized failed     canceled   success    success    reversed
failed      failed     updated    authorized failed     canceled   success    success    reversed
canceled    canceled   canceled   authorized canceled   canceled   success    success    reversed
success     success    success    success    !success   !success   success    success    reversed
refunded    success    success    success    !success   !success   success    success    reversed
reversed    reversed   reversed   reversed   reversed   reversed   success    success    reversed`
	disputePairsLevel = `
              open  under_review submitted  closed   lost      canceled  won
open          open  under_review submitted  closed   lost      canceled  won
under_review  open  under_review submitted  closed   lost      canceled  won
submitted     open  under_review submitted  closed   lost      canceled  won
closed        open+ closed       submitted+ closed   lost      canceled  won
lost          open+ lost         submitted+ lost     lost      canceled  won
canceled      open+ canceled     submitted+ canceled lost      canceled  won
won           open+ won          submitted+ won      lost      canceled  won`
	disputePairsUp = `
              open   under_review   submitted   closed  lost  canceled  won
open          open^  under_review^  submitted^  closed^ lost^ canceled^ won^
under_review  open^  under_review^  submitted^  closed^ lost^ canceled^ won^
submitted     open^  under_review^  submitted^  closed^ lost^ canceled^ won^
closed        open+^ under_review+^ submitted+^ closed^ lost^ canceled^ won^
lost          open+^ under_review+^ submitted+^ closed^ lost^ canceled^ won^
canceled      open+^ under_review+^ submitted+^ closed^ lost^ canceled^ won^
won           open+^ under_review+^ submitted+^ closed^ lost^ canceled^ won^`
	disputePairsDown = `
              open   under_review  submitted   closed   lost      canceled  won
open          open^  under_review^ submitted^  closed   lost      canceled  won
under_review  open^  under_review^ submitted^  closed   lost      canceled  won
submitted     open^  under_review^ submitted^  closed   lost      canceled  won
closed        open+^ closed        submitted+^ closed   lost      canceled  won
lost          open+^ lost          submitted+^ lost     lost      !lost     !lost
canceled      open+^ canceled      submitted+^ canceled !canceled canceled  canceled
won           open+^ won           submitted+^ won      !won      won       won`
)

// eachPair calls visit for each cell of a matrix.
func eachPair(matrix string, visit func(older, newer, want string)) {
	lines := strings.Split(strings.TrimSpace(matrix), "\n")
	columns := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, newer := range columns {
			visit(cells[0], newer, cells[1+i])
		}
	}
}

// inBothArrivals applies two updates in both orders of arrival to new ledgers.
func inBothArrivals(t *testing.T, updates []*payrelayv1.Update, check func(t *testing.T, m *Snapshot, outcome *payrelayv1.Outcome)) {
	t.Helper()
	for _, arrival := range [][]*payrelayv1.Update{updates, {updates[len(updates)-1], updates[0]}} {
		b := newBatch(arrival, time.Unix(1e9, 0).UTC(), &defaultLimits)
		if incomplete := b.judge(new(Snapshot), new(Histories)); !incomplete.empty() {
			t.Fatalf("a new aggregate lacks its history: %v", incomplete)
		}
		b.collect()
		s := &Snapshot{Orders: make(map[string]*Aggregate[Order]), Disputes: make(map[DisputeKey]*Aggregate[Dispute])}
		for _, o := range b.changes.Orders {
			s.Orders[o.State.ID] = o
		}
		for _, d := range b.changes.Disputes {
			s.Disputes[d.State.DisputeKey] = d
		}
		newest := len(updates) - 1
		if arrival[0] != updates[0] {
			newest = 0
		}
		check(t, s, b.outcomes()[newest])
	}
}

func orderUpdate(id string, second int64, status string) *payrelayv1.Update {
	return &payrelayv1.Update{
		Provider: "generic", EventId: id, OrderId: "o1", OccurredAt: timestamppb.New(time.Unix(second, 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: mustParse(OrderStatuses, status)}},
	}
}

func disputeUpdate(id string, second int64, status string, stage payrelayv1.DisputeStage) *payrelayv1.Update {
	return &payrelayv1.Update{
		Provider: "generic", EventId: id, OrderId: "o1", OccurredAt: timestamppb.New(time.Unix(second, 0)),
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: mustParse(DisputeStatuses, status), Stage: stage}},
	}
}

func TestOrderPairs(t *testing.T) {
	cells := 0
	eachPair(orderPairs, func(older, newer, want string) {
		cells++
		updates := []*payrelayv1.Update{orderUpdate("a", 100, newer)}
		if older != "-" {
			updates = []*payrelayv1.Update{orderUpdate("b", 50, older), updates[0]}
		}
		inBothArrivals(t, updates, func(t *testing.T, s *Snapshot, outcome *payrelayv1.Outcome) {
			status, refused := strings.CutPrefix(want, "!")
			if got := OrderStatuses.Name(s.Orders["o1"].State.Status); got != status {
				t.Errorf("%s, then %s: %s, want %s", older, newer, got, status)
			}
			if got := outcome.Reason == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION; got != refused {
				t.Errorf("%s, then %s: %v, want a contradiction: %v", older, newer, outcome, refused)
			}
		})
	})
	if cells != 9*8 {
		t.Errorf("checked %d cells", cells)
	}
}

func TestDisputePairs(t *testing.T) {
	const inquiry, chargeback = payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY, payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK
	for _, matrix := range []struct {
		cells        string
		older, newer payrelayv1.DisputeStage
	}{
		{disputePairsLevel, 0, 0}, {disputePairsLevel, inquiry, inquiry}, {disputePairsLevel, 0, chargeback}, {disputePairsLevel, chargeback, 0},
		{disputePairsUp, inquiry, chargeback}, {disputePairsDown, chargeback, inquiry},
	} {
		eachPair(matrix.cells, func(older, newer, want string) {
			updates := []*payrelayv1.Update{disputeUpdate("b", 50, older, matrix.older), disputeUpdate("a", 100, newer, matrix.newer)}
			inBothArrivals(t, updates, func(t *testing.T, s *Snapshot, outcome *payrelayv1.Outcome) {
				d := s.Disputes[DisputeKey{"generic", "o1"}].State
				name := strings.Trim(want, "!+^")
				reopened, refused := strings.Contains(want, "+"), strings.Contains(want, "!")
				if got := DisputeStatuses.Name(d.Status); got != name || (d.Reopened == 1) != reopened {
					t.Errorf("%s@%v, then %s@%v: %s, reopened %d, want %s", older, matrix.older, newer, matrix.newer, got, d.Reopened, want)
				}
				if got := outcome.Reason == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION; got != refused {
					t.Errorf("%s@%v, then %s@%v: %v, want a contradiction: %v", older, matrix.older, newer, matrix.newer, outcome, refused)
				}
				stage := matrix.older
				if strings.Contains(want, "^") || stage == 0 {
					stage = matrix.newer
				}
				if matrix.cells == disputePairsLevel && matrix.older == 0 && matrix.newer != 0 && name == older && newer != older {
					stage = d.Stage // a kept status does not imply a stage
				}
				if d.Stage != stage {
					t.Errorf("%s@%v, then %s@%v: stage %v, want %v", older, matrix.older, newer, matrix.newer, d.Stage, stage)
				}
			})
		})
	}
}

// Of two opposite outcomes of one instant, lost applies, and the other is a dead letter.
func TestOutcomesOfOneInstant(t *testing.T) {
	for _, other := range []string{"won", "canceled"} {
		updates := []*payrelayv1.Update{disputeUpdate("b", 50, "lost", 0), disputeUpdate("a", 50, other, 0)}
		inBothArrivals(t, updates, func(t *testing.T, s *Snapshot, outcome *payrelayv1.Outcome) {
			if d := s.Disputes[DisputeKey{"generic", "o1"}].State; d.Status != payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST ||
				outcome.Reason != payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION {
				t.Errorf("lost and %s at one instant: %v, %v", other, d.Status, outcome)
			}
		})
	}
}

// An outcome without a stage sorts before one with a stage. Of one instant, the opposite
// outcome is a contradiction too.
func TestOutcomesOfOneInstantWithAStage(t *testing.T) {
	for _, pair := range [][2]string{{"won", "lost"}, {"canceled", "lost"}, {"lost", "won"}, {"lost", "canceled"}} {
		updates := []*payrelayv1.Update{disputeUpdate("b", 50, pair[0], 0), disputeUpdate("a", 50, pair[1], 2)}
		inBothArrivals(t, updates, func(t *testing.T, s *Snapshot, outcome *payrelayv1.Outcome) {
			if d := s.Disputes[DisputeKey{"generic", "o1"}].State; DisputeStatuses.Name(d.Status) != pair[0] ||
				outcome.Reason != payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION {
				t.Errorf("%s and %s@chargeback at one instant: %v, %v", pair[0], pair[1], d.Status, outcome)
			}
		})
		updates[1] = disputeUpdate("a", 51, pair[1], 2)
		inBothArrivals(t, updates, func(t *testing.T, s *Snapshot, outcome *payrelayv1.Outcome) {
			if d := s.Disputes[DisputeKey{"generic", "o1"}].State; DisputeStatuses.Name(d.Status) != pair[1] || outcome.Reason != noReason {
				t.Errorf("%s, then %s@chargeback: %v, %v", pair[0], pair[1], d.Status, outcome)
			}
		})
	}
}
