package cmd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// withOldBodies returns the data directory of a database with the event old, whose body
// was recorded 40 days ago, and the event new of today. Both name the user jane.
func withOldBodies(t *testing.T) (dir string) {
	t.Helper()
	dir = contradictions(t, 0)
	store := openStore(t, dir)
	defer store.Close()
	update := func(event string) *payrelayv1.Update {
		return &payrelayv1.Update{
			Provider: "generic", EventId: event, OrderId: "order", UserId: "jane", OccurredAt: timestamppb.New(time.Unix(1_767_000_000, 0)),
			RawBody: []byte(`{"user":"jane"}`),
			Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS}},
		}
	}
	u := update("old")
	old := &payments.Event{
		Key: payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: "old"}, Facts: payments.FactsDigest(u), Update: u,
		Verdict: payrelayv1.Verdict_VERDICT_APPLIED, RecordedAt: time.Now().AddDate(0, 0, -40),
	}
	if err := store.Commit(t.Context(), &payments.Changes{Events: []*payments.Event{old}}); err != nil {
		t.Fatal(err)
	}
	if _, err := payments.NewLedger(store).Apply(t.Context(), []*payrelayv1.Update{update("new")}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(dir, "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestRetentionRun(t *testing.T) {
	dir := withOldBodies(t)
	day := time.Now().UTC().AddDate(0, 0, -40).Format(time.DateOnly)
	for _, run := range []struct {
		args  []string
		lines []string
	}{
		{nil, []string{"no body is removed: body-retention (BODY_RETENTION) is 0"}},
		{[]string{"--body-retention", "50d"}, []string{"removed: 0 days before "}},
		{[]string{"--body-retention", "30d", "--dry-run"}, []string{day + " 1 15", "settled dead letters 0 0", "would be removed: 1 days before "}},
		{[]string{"--body-retention", "30d"}, []string{day + " 1 15", "removed: 1 days before "}},
		{[]string{"--body-retention", "30d"}, []string{"removed: 0 days before "}},
	} {
		out, err := execute(t, append([]string{"retention", "run", "--data-dir", dir}, run.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range run.lines {
			wantWords(t, out, line)
		}
	}
	fails(t, []string{"retention", "run", "--data-dir", dir, "--dry-run"}, "BODY_RETENTION", "--body-retention 30d")
	fails(t, []string{"retention", "run", "--data-dir", dir, "--body-retention", "a month"}, "body-retention (BODY_RETENTION)", `"a month"`, "30d")
}

func TestErase(t *testing.T) {
	dir := withOldBodies(t)
	erase := func(args ...string) string {
		t.Helper()
		out, err := execute(t, append([]string{"erase", "--data-dir", dir, "--user", "jane"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const counts = "erased: 1 orders, 0 disputes, 2 events, 2 bodies, 0 dead letters\n"
	if got := erase("--dry-run"); got != "would be "+counts {
		t.Errorf("a dry run prints %q, want %q", got, "would be "+counts)
	}
	if got := erase("--why", "she asked", "--by", "ann"); got != counts {
		t.Errorf("erase prints %q, want %q", got, counts)
	}
	list, err := execute(t, "erase", "list", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	// The SHA-256 of jane.
	want := regexp.MustCompile(`(?m)^1 +81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2 +\S+Z +\S+Z +1 +0 +2 +2 +0 +"ann" +"she asked"$`)
	if !want.MatchString(list) || strings.Contains(list, "jane") {
		t.Errorf("erase list prints\n%s, want a line that matches %s", list, want)
	}
	store := openStore(t, dir)
	defer store.Close()
	if o, err := store.Order(t.Context(), "order"); err != nil || fmt.Sprint(o.UserID, o.Status) != fmt.Sprint("", payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS) {
		t.Errorf("the order is %+v, %v, want it successful and without a user", o, err)
	}
	audit, err := execute(t, "audit", "list", "--action", "erase", "--output", "csv", "--data-dir", dir)
	if err != nil || strings.Count(audit, ",erase,") != 1 || !strings.Contains(audit, ",ann,erase,") || !strings.Contains(audit, "she asked") || strings.Contains(audit, "jane") {
		t.Errorf("audit list prints\n%s, %v, want one erasure by ann, without the user", audit, err)
	}
	fails(t, []string{"erase", "--data-dir", dir, "--why", "she asked"}, "--user")
	fails(t, []string{"erase", "--data-dir", dir, "--user", "jane"}, "--why")
}
