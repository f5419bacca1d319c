package payments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// explanationText returns an explanation as people read it.
func explanationText(x *payments.Explanation) string {
	var text strings.Builder
	for _, s := range x.Sentences {
		fmt.Fprintln(&text, s)
	}
	fmt.Fprintln(&text)
	if x.Earlier > 0 {
		fmt.Fprintf(&text, "%d earlier events\n", x.Earlier)
	}
	for _, e := range x.Timeline {
		verdict := payments.Verdicts.Name(e.Verdict)
		if reason := payments.DeadLetterReasons.Name(e.Reason); reason != "" {
			verdict += " (" + reason + ")"
		}
		change := e.Before + " -> " + e.After
		if e.Before == e.After {
			change = e.After
		}
		late := ""
		if e.Late {
			late = " late"
		}
		fmt.Fprintf(&text, "%s  %s %s of %s  %s%s  [%s]\n    %s\n", e.Update.GetOccurredAt().AsTime().Format("2006-01-02 15:04:05"),
			e.Key.Kind, e.Key.EventID, e.Key.Source, verdict, late, change, e.Why)
	}
	return text.String()
}

func dueIn(hours int) change {
	return func(u *payrelayv1.Update) {
		u.GetDispute().EvidenceDueAt = timestamppb.New(noon.Add(time.Duration(hours) * time.Hour))
	}
}

func reasonOf(text string) change {
	return func(u *payrelayv1.Update) { u.GetDispute().Reason = text }
}

// clock sets the time of an update, in minutes after noon.
func clock(minutes int) int { return minutes * 60 }

// stories are what the golden files in testdata/explain tell.
var stories = map[string]func(b *fixture){
	"paid": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated, amount(10050, "USD")), order("e2", clock(5), orderSuccess, amount(10050, "USD")))
	},
	"no-event-says-that-it-is-paid": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated, amount(10050, "USD")), order("e2", clock(5), orderFailed, amount(10050, "USD")))
	},
	"only-authorized": func(b *fixture) {
		b.apply(order("e1", clock(0), orderAuthorized, authorized(5000, "EUR")))
	},
	"the-success-is-from-the-future": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated, amount(700, "JPY")), order("e2", 0, orderSuccess, amount(700, "JPY"), ahead(30)))
	},
	"a-status-that-is-not-known": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated), order("e2", clock(1), orderNone, providerStatus("settle_pending")))
	},
	"a-failure-that-contradicts-the-success": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")), order("e2", clock(60), orderFailed, from("stripe-eu")))
	},
	"an-accepted-failure": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")), order("e2", clock(60), orderFailed), order("e3", clock(30), orderCreated))
		b.accept(1)
	},
	"a-discarded-failure": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")), order("e2", clock(60), orderFailed))
		b.discard(1)
	},
	"reversed-by-its-part": func(b *fixture) {
		b.apply(order("e1", clock(0), orderUpdated, partOf("a1")), order("e2", clock(5), orderSuccess, partOf("a1"), amount(2500, "EUR")),
			order("e3", clock(600), orderFailed, partOf("a1")))
	},
	"late-and-stale": func(b *fixture) {
		b.apply(order("e1", clock(1), orderCreated, amount(5000, "USD")))
		b.apply(order("e3", clock(10), orderSuccess, amount(5000, "USD")))
		b.apply(order("e2", clock(5), orderFailed, amount(5000, "USD")))
		b.apply(order("e0", clock(0), orderCreated, amount(5000, "USD")))
	},
	"made-a-dead-letter-by-a-later-update": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated))
		b.apply(order("e2", clock(20), orderFailed))
		b.apply(order("e3", clock(10), orderSuccess, amount(5000, "USD")))
	},
	"another-currency": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")), order("e2", clock(5), orderSuccess, amount(5000, "EUR")))
	},
	"a-conflict": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated, amount(5000, "USD")), order("e1", clock(9), orderSuccess, amount(5000, "USD")))
	},
	"partially-refunded-with-flags": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD"), captured(6000, "USD")),
			order("e2", clock(5), orderUpdated, refundedTotal(1000, "USD"), partOf("r1")), note("n1", clock(6), "fraud_warning"))
	},
	"disputed": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")))
		b.apply(dispute("d1", clock(60), disputeOpen, disputeID("dp_1"), amount(9000, "USD"), reasonOf("fraud"), dueIn(240), stage(payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK)),
			dispute("d2", clock(90), disputeWon, disputeID("dp_2"), amount(100, "USD")), dispute("d3", clock(90), disputeLost, disputeID("dp_2")))
	},
	"a-dispute-of-another-order": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")), dispute("d1", clock(1), disputeOpen, disputeID("dp_1"), of("o2")),
			dispute("d2", clock(2), disputeLost, disputeID("dp_1")))
	},
	"of-a-newer-release": func(b *fixture) {
		b.apply(order("e1", clock(0), orderCreated), order("e2", clock(1), orderSuccess, schema(9)))
		if err := b.DeadLetter(b.t.Context(), &payrelayv1.UndecodableRecord{Topic: "t", Value: []byte("\xff")}); err != nil {
			b.t.Fatal(err)
		}
	},
	"canceled-after-it-was-paid-and-then-nothing": func(b *fixture) {
		b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD"), partOf("p1")), order("e2", clock(10), orderCanceled, partOf("p2")),
			order("e3", clock(20), orderReversed, partOf("p1")))
	},
	"only-its-dispute-is-known": func(b *fixture) {
		b.apply(dispute("d1", clock(0), disputeSubmitted, amount(5000, "USD")))
	},
}

func TestExplainOrder(t *testing.T) {
	for name, arrange := range stories {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			arrange(b)
			x, err := payments.ExplainOrder(t.Context(), b.store, "o1")
			if err != nil {
				t.Fatal(err)
			}
			wantGolden(t, filepath.Join("testdata", "explain", name+".txt"), explanationText(x))
		})
	}
	files, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(files) != len(stories)+1 {
		t.Errorf("%d golden files and %d stories about orders, want one more for a dispute", len(files), len(stories))
	}
}

func TestExplainDispute(t *testing.T) {
	b := newFixture(t)
	key := payments.DisputeKey{Source: "generic", ID: "dp_1"}
	b.apply(order("e1", clock(0), orderSuccess, amount(5000, "USD")),
		dispute("d1", clock(60), disputeOpen, disputeID("dp_1"), amount(9000, "USD"), reasonOf("fraud"), dueIn(240)),
		dispute("d2", clock(70), disputeLost, disputeID("dp_1"), stage(payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION)),
		dispute("d3", clock(80), disputeWon, disputeID("dp_1"), stage(payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK)),
		dispute("d4", clock(90), disputeOpen, disputeID("dp_1"), dueIn(300)))
	x, err := payments.ExplainDispute(t.Context(), b.store, key)
	if err != nil {
		t.Fatal(err)
	}
	if x.Order != nil || len(x.Disputes) != 1 {
		t.Errorf("explanation of a dispute has order %v and %d disputes", x.Order, len(x.Disputes))
	}
	wantGolden(t, "testdata/explain/dispute.txt", explanationText(x))
	if _, err := payments.ExplainDispute(t.Context(), b.store, payments.DisputeKey{Source: "other", ID: "dp_1"}); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("ExplainDispute of an unknown dispute = %v, want ErrNotFound", err)
	}
	if _, err := payments.ExplainOrder(t.Context(), b.store, "o9"); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("ExplainOrder of an unknown order = %v, want ErrNotFound", err)
	}
}

// wantGolden compares text with a golden file. With PAYRELAY_UPDATE_GOLDEN=1 it writes the
// file instead.
func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("PAYRELAY_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s:\n%s\nIf the new text is right, write it with PAYRELAY_UPDATE_GOLDEN=1 go test", got, path, want)
	}
}

// The timeline has the states and verdicts of the ledger, whatever happened.
func TestTimelinesAgreeWithTheLedger(t *testing.T) {
	broken := regexp.MustCompile(`  |%!|\bID\b|\.\.|""`)
	for seed := range uint64(300) {
		b := troubled(t, seed)
		for id := range len(b.store.sequence) {
			if id%3 != 0 {
				b.decide(resolutions[id%3], int64(id+1))
			}
		}
		for _, id := range []string{"o1", "o2"} {
			x, err := payments.ExplainOrder(t.Context(), b.store, id)
			if errors.Is(err, payments.ErrNotFound) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			after := ""
			for _, e := range x.Timeline {
				if e.Key.Kind == payments.KindOrder {
					if e.Before != after {
						t.Errorf("%v begins with %q, and the one before ends with %q", e.Key, e.Before, after)
					}
					after = e.After
				}
				if stored := b.store.events[e.Key]; stored.Verdict != e.Verdict || e.Why == "" || broken.MatchString(strings.ReplaceAll(e.Why, `"..."`, "")) {
					t.Errorf("%v is %v because %q, want %v", e.Key, e.Verdict, e.Why, stored.Verdict)
				}
				if e.Verdict == dead && !e.Discarded && e.Before != e.After {
					t.Errorf("dead letter %v changes %q to %q", e.Key, e.Before, e.After)
				}
			}
			if want := payments.OrderStatuses.Name(b.store.order(id).Status); after != want {
				t.Errorf("the timeline of %s ends with %q, want %q", id, after, want)
			}
			for _, s := range x.Sentences {
				if s == "" || broken.MatchString(strings.ReplaceAll(s, `"..."`, "")) || !strings.HasSuffix(s, ".") {
					t.Errorf("sentence %q", s)
				}
			}
			for _, l := range x.DeadLetters {
				if command := fmt.Sprintf(" %d --why", l.ID); !strings.Contains(strings.Join(x.Sentences, "\n"), command) {
					t.Errorf("no sentence has a command for dead letter %d", l.ID)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// A long timeline has the newest events and the number of the others. If there are too many
// to fold them, the explanation says so.
func TestExplanationOfALongHistory(t *testing.T) {
	b := newFixture(t)
	longOrder(b, 1200)
	x, err := payments.ExplainOrder(t.Context(), b.store, "o1")
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Timeline) != payments.TimelineLimit || x.Earlier != 200 || x.Timeline[0].Key.EventID != "e200" || x.Timeline[999].After != "updated" {
		t.Errorf("%d entries after %d earlier ones, from %v", len(x.Timeline), x.Earlier, x.Timeline[0].Key)
	}
	if testing.Short() {
		return
	}
	b = newFixture(t)
	var updates []*payrelayv1.Update
	for i := range 10_100 {
		updates = append(updates, order(fmt.Sprint("e", i), i, orderUpdated))
	}
	b.apply(updates...)
	x, err = payments.ExplainOrder(t.Context(), b.store, "o1")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(x.Sentences, "\n"); len(x.Timeline) != payments.TimelineLimit || x.Earlier != 9000 || !strings.Contains(text, "Only the newest 10000 events") {
		t.Errorf("%d entries after %d earlier ones: %s", len(x.Timeline), x.Earlier, text)
	}
}

// A failure of the store is the error of the explanation.
func TestExplainPassesOnErrors(t *testing.T) {
	b := newFixture(t)
	b.apply(oracle.RandomHistory(rand.New(rand.NewPCG(1, 1)), "", 20)...)
	t.Cleanup(payments.PanicAt(func(*payrelayv1.Update) any { return "a defect" }))
	if _, err := payments.ExplainOrder(t.Context(), b.store, "o1"); !errors.Is(err, payments.ErrPanic) {
		t.Errorf("ExplainOrder = %v, want ErrPanic", err)
	}
}
