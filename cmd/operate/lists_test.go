package operate

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

var errNoLetter = errors.New("there is nothing with this id")

// hostile is a text of a provider that attacks whoever prints it.
const hostile = "=cmd|' /C calc'!A0\x1b[2J\ttab\u202e"

// filled returns a service with a few of everything.
func filled() *fake {
	order := &payrelayv1.Order{
		OrderId: "order-1", Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, View: "partially_refunded", UserId: "user-1",
		Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}, Captured: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		Refunded: &payrelayv1.Money{MinorUnits: 5, Currency: "USD"}, CreatedAt: at("2026-01-04T10:00:00Z"), UpdatedAt: at("2026-01-05T10:00:00Z"),
	}
	dispute := &payrelayv1.Dispute{
		Source: "shop", DisputeId: "dispute-1", OrderId: "order-1", Stage: payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK,
		Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, Reopened: 1, UserId: "user-1", Reason: "fraud",
		Amount: &payrelayv1.Money{MinorUnits: 500, Currency: "JPY"}, OpenedAt: at("2026-01-05T10:00:00Z"), UpdatedAt: at("2026-01-05T10:00:00Z"),
		EvidenceDueAt: at("2026-01-19T10:00:00Z"), Flags: []string{"late_evidence"},
	}
	letter := &payrelayv1.DeadLetter{
		Id: 1, Source: "shop", Kind: "order", EventId: "evt-2", OrderId: "order-1", Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION,
		Detail: "failed after success", CreatedAt: at("2026-01-06T10:00:00Z"), Deliveries: 2, LastAt: at("2026-01-06T11:00:00Z"), Digest: []byte{0xab, 0xcd},
	}
	settled := proto.CloneOf(letter)
	settled.Id, settled.EventId, settled.Resolution, settled.ResolvedAt, settled.ResolvedBy, settled.ResolvedWhy = 2, hostile, "accepted", at("2026-01-07T10:00:00Z"), "ops (ann)", "the bank confirms it"
	full := proto.CloneOf(letter)
	full.Id, full.Update = 3, &payrelayv1.Update{
		Provider: "shop", EventId: "evt-2", OrderId: "order-1", OccurredAt: at("2026-01-06T10:00:00Z"), BodySha256: []byte{1, 2},
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_FAILED}},
	}
	event := func(id string, status payrelayv1.OrderStatus, verdict payrelayv1.Verdict, reason payrelayv1.DeadLetterReason) *payrelayv1.Event {
		return &payrelayv1.Event{Sequence: 7, RecordedAt: at("2026-01-06T10:00:01Z"), Outcome: &payrelayv1.Outcome{Verdict: verdict, Reason: reason},
			Update: &payrelayv1.Update{Provider: "shop", EventId: id, OrderId: "order-1", OccurredAt: at("2026-01-06T10:00:00Z"), RequestId: "REQ",
				Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}}}}
	}
	return &fake{
		letters: []*payrelayv1.DeadLetter{letter, settled, full}, body: []byte("{\"status\":\"failed\",\n \"note\":\"\x1b[2J\"}\n"),
		orders: []*payrelayv1.Order{order, {OrderId: hostile, View: "created"}}, disputes: []*payrelayv1.Dispute{dispute},
		explained: &payrelayv1.ExplainOrderResponse{
			Order: order, Disputes: []*payrelayv1.Dispute{dispute}, Earlier: 3, DeadLetters: []*payrelayv1.DeadLetter{letter},
			Sentences: []string{"The order is partially refunded: 0.05 of 100.50 USD.", "The event evt-2 of shop reports failed after success: an illegal step from success to failed."},
			Timeline: []*payrelayv1.TimelineEntry{
				{Event: event("evt-1", payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, payrelayv1.Verdict_VERDICT_APPLIED, 0), StatusAfter: "success", Why: "It is the first event."},
				{Event: event("evt-2", payrelayv1.OrderStatus_ORDER_STATUS_FAILED, payrelayv1.Verdict_VERDICT_DEAD_LETTERED, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION),
					StatusBefore: "success", StatusAfter: "success", Late: true, Why: "A success does not become failed."},
			},
		},
		sources: []*payrelayv1.Source{
			{Name: "shop", Provider: "generic", Environment: "live", LastEventAt: at("2026-01-06T10:00:00Z"), OpenDeadLetters: proto.Int64(2), Verified: proto.Int64(7), Refused: map[string]int64{"signature_invalid": 3, "body_too_large": 1}},
			{Name: "old", OpenDeadLetters: new(int64)},
		},
		audit: []*payrelayv1.AuditEntry{{
			Id: 1, At: at("2026-01-07T10:00:00Z"), Who: "ops (ann)", Action: "accept", Target: "dead letter 2", OrderId: "order-1", Why: "+1 from the bank", Before: "open: contradiction", After: "accepted: applied",
		}},
		part: 2,
	}
}

// TestGolden compares what each list and show prints in each format with a file, which
// go test ./cmd/operate -update writes.
func TestGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"deadletters-list":  {"deadletters", "list", "--settled"},
		"deadletters-page":  {"deadletters", "list", "--limit", "2"},
		"deadletters-show":  {"deadletters", "show", "3", "--why", "order-1 is not paid", "--by", "ann"},
		"deadletters-nobdy": {"deadletters", "show", "2", "--body=false"},
		"orders-list":       {"orders", "list"},
		"orders-page":       {"orders", "list", "--limit", "1"},
		"orders-show":       {"orders", "show", "order-1"},
		"disputes-list":     {"disputes", "list"},
		"disputes-show":     {"disputes", "show", "dispute-1"},
		"explain-order":     {"explain", "order", "order-1"},
		"explain-dispute":   {"explain", "dispute", "dispute-1", "--source", "shop"},
		"sources-list":      {"sources", "list"},
		"audit-list":        {"audit", "list"},
		"audit-export":      {"audit", "export"},
	} {
		for _, format := range formats {
			t.Run(name+"."+format, func(t *testing.T) {
				filled().golden(t, name+"."+format+".txt", append(args, "--output", format)...)
			})
		}
	}
}

// TestExplainNamesWhatWasAsked checks the last line of an explanation, also of what has
// events only, and that the dead letters are in the sentences alone.
func TestExplainNamesWhatWasAsked(t *testing.T) {
	f := filled()
	f.explained.Order, f.disputes = nil, nil
	f.explained.Sentences = []string{"Nothing that was reported is applied.", "Dead letter 1 is open (contradiction): app deadletters accept 1."}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"order", "order-1"}, "app orders show order-1"},
		{[]string{"order", "it's 1"}, `app orders show 'it'\''s 1'`},
		{[]string{"dispute", "dispute-1"}, "app disputes show dispute-1"},
		{[]string{"dispute", "dispute-1", "--source", "a shop"}, "app disputes show dispute-1 --source 'a shop'"},
	} {
		out, _, err := f.run(t, append([]string{"explain"}, c.args...)...)
		if want := strings.Join(f.explained.Sentences, "\n") + "\n\ntimeline: " + c.want + "\n"; err != nil || out != want {
			t.Errorf("app explain %q = %q, %v, want %q", c.args, out, err, want)
		}
	}
}

// TestHostileText checks that a provider's text cannot control a terminal, and is no
// formula in a spreadsheet.
func TestHostileText(t *testing.T) {
	table, _, err := filled().run(t, "orders", "list")
	if err != nil || strings.ContainsAny(table, "\x1b\t\u202e") {
		t.Errorf("table = %q, %v, want no control character", table, err)
	}
	text, _, err := filled().run(t, "orders", "list", "--output", "csv")
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 3 || records[2][0] != "'"+hostile {
		t.Errorf("csv = %q, %v, want the text after an apostrophe", records, err)
	}
	if !strings.Contains(text, "updated\r\n") {
		t.Errorf("csv = %q, want lines that end in CR LF", text)
	}
	for value, want := range map[string]string{"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "x=1": "x=1", "": ""} {
		if got := neutral(value); got != want {
			t.Errorf("neutral(%q) = %q, want %q", value, got, want)
		}
	}
}

// TestJSONIsOneObject checks that the output of each list as JSON is one object with items.
func TestJSONIsOneObject(t *testing.T) {
	for _, args := range [][]string{{"deadletters", "list"}, {"orders", "list"}, {"disputes", "list"}, {"sources", "list"}, {"audit", "list"}, {"audit", "export"}} {
		for _, service := range []*fake{filled(), {}} {
			text, _, err := service.run(t, append(args, "--output", "json")...)
			var got struct {
				Items []map[string]any
				Total *int
			}
			if err := errors.Join(err, json.Unmarshal([]byte(text), &got)); err != nil || got.Items == nil || got.Total == nil || *got.Total != len(got.Items) {
				t.Errorf("%q = %v: %s, want an object with the items and their number", args, err, text)
			}
		}
	}
}

// TestPages checks that a list asks for page after page, up to the limit.
func TestPages(t *testing.T) {
	f := filled()
	if out, _, err := f.run(t, "deadletters", "list", "--limit", "0", "--after", "1"); err != nil || !strings.Contains(out, "\n2 of 3 dead letters\n") {
		t.Errorf("list after 1 = %q, %v, want two of three", out, err)
	}
	page := f.asked[0].(*payrelayv1.ListDeadLettersRequest).GetPage()
	if page.GetCursor() != "1" || page.GetLimit() != 200 || !page.GetAscending() {
		t.Errorf("page = %v, want the cursor 1, the largest page and the oldest first", page)
	}
	f = filled()
	out, _, err := f.run(t, "audit", "list", "--after", "0")
	if err != nil || !strings.Contains(out, "\n1 entry\n") {
		t.Errorf("audit list = %q, %v", out, err)
	}
	var calls int
	all := paging{limit: 450}
	next, err := all.each(func(p *payrelayv1.Page) (int, string, error) {
		calls++
		if want := []int32{200, 200, 50}[calls-1]; p.GetLimit() != want {
			t.Errorf("call %d asks for %d, want %d", calls, p.GetLimit(), want)
		}
		return int(p.GetLimit()), "more", nil
	})
	if err != nil || next != "more" || calls != 3 {
		t.Errorf("each() = %q, %v after %d calls, want more after 3", next, err, calls)
	}
}

// TestSelections checks that the flags reach the service.
func TestSelections(t *testing.T) {
	f := filled()
	for _, args := range [][]string{
		{"deadletters", "list", "--reason", "conflict,contradiction", "--source", "shop", "--kind", "order", "--order", "a,b", "--order", "c", "--text", "evt", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z", "--settled"},
		{"orders", "list", "--order", "o", "--user", "u", "--status", "success,failed", "--ascending", "--from", "24h"},
		{"disputes", "list", "--source", "shop", "--dispute", "d", "--order", "o", "--user", "u", "--status", "open", "--due-from", "2026-01-01T00:00:00Z", "--due-to", "2026-01-02T00:00:00Z"},
		{"audit", "list", "--action", "accept,replay", "--order", "o"},
	} {
		if _, _, err := f.run(t, args...); err != nil {
			t.Errorf("%q = %v", args, err)
		}
	}
	letters := f.asked[0].(*payrelayv1.ListDeadLettersRequest).GetFilter()
	want := &payrelayv1.DeadLetterFilter{
		Reasons: []payrelayv1.DeadLetterReason{payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION},
		Sources: []string{"shop"}, Kinds: []string{"order"}, OrderIds: []string{"a,b", "c"}, Text: "evt", TimeFrom: at("2026-01-01T00:00:00Z"), TimeTo: at("2026-02-01T00:00:00Z"), Settled: true,
	}
	if !proto.Equal(letters, want) {
		t.Errorf("filter = %v, want %v", letters, want)
	}
	orders := f.asked[1].(*payrelayv1.ListOrdersRequest)
	if len(orders.GetStatuses()) != 2 || orders.GetUserIds()[0] != "u" || !orders.GetPage().GetAscending() || orders.GetTimeFrom() == nil {
		t.Errorf("request = %v, want the flags", orders)
	}
	disputes := f.asked[2].(*payrelayv1.ListDisputesRequest)
	if len(disputes.GetStatuses()) != 1 || !proto.Equal(disputes.GetDueFrom(), at("2026-01-01T00:00:00Z")) || !proto.Equal(disputes.GetDueTo(), at("2026-01-02T00:00:00Z")) || disputes.GetDisputeIds()[0] != "d" {
		t.Errorf("request = %v, want the flags", disputes)
	}
	if audit := f.asked[3].(*payrelayv1.ListAuditRequest); len(audit.GetActions()) != 2 || audit.GetOrderIds()[0] != "o" {
		t.Errorf("request = %v, want the flags", audit)
	}
}

// TestUsageMistakes checks the sentence and the exit code of each mistake.
func TestUsageMistakes(t *testing.T) {
	for want, args := range map[string][]string{
		"--output is \"xml\"":               {"orders", "list", "--output", "xml"},
		"--limit is -1":                     {"orders", "list", "--limit", "-1"},
		"--status is \"paid\": choose from": {"orders", "list", "--status", "paid"},
		"--status is \"lost?\"":             {"disputes", "list", "--status", "lost?"},
		"--reason is \"bad luck\"":          {"deadletters", "list", "--reason", "bad luck"},
		"--kind is \"refund\"":              {"deadletters", "list", "--kind", "refund"},
		"--from is \"yesterday\"":           {"audit", "export", "--from", "yesterday"},
		"--due-to is \"soon\"":              {"disputes", "list", "--due-to", "soon"},
		"--from must be earlier":            {"orders", "list", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"},
		"name one order by its ID":          {"orders", "show"},
		"name one dispute by its ID":        {"explain", "dispute", "a", "b"},
		"name one dead letter by its ID":    {"deadletters", "show", "1", "2"},
		"\"x\" is not the ID":               {"deadletters", "accept", "x", "--why", "y"},
		"nothing is selected":               {"deadletters", "replay", "--dry-run"},
		"cannot be combined":                {"deadletters", "discard", "1", "--all", "--why", "y"},
		"--why is missing":                  {"deadletters", "accept", "1", "--why", " "},
		"exclude each other":                {"replay", "--dry-run", "--correct"},
		"is not a URL that can be called":   {"orders", "list", "--api-url", "http://user:secret@host"},
		"show the token to the network":     {"orders", "list", "--api-url", "http://example.com", "--api-token-file", "testdata/token"},
	} {
		_, _, err := filled().run(t, args...)
		if err == nil || !strings.Contains(err.Error(), want) || flags.ExitCode(err) != flags.ExitUsage || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q = %v with exit code %d, want %q with 2", args, err, flags.ExitCode(err), want)
		}
	}
	for want, args := range map[string][]string{
		"show dead letter 9: not found":               {"deadletters", "show", "9", "--body=false"},
		"nothing is recorded about order x":           {"orders", "show", "x"},
		"nothing is recorded about order y":           {"explain", "order", "y"},
		"nothing is recorded about dispute z":         {"explain", "dispute", "z"},
		"nothing is recorded about dispute z of shop": {"disputes", "show", "z", "--source", "shop"},
	} {
		if _, _, err := filled().run(t, args...); flags.ExitCode(err) != flags.ExitNotFound || err.Error() != want {
			t.Errorf("%q = %v with exit code %d, want %q with 4", args, err, flags.ExitCode(err), want)
		}
	}
}

// TestTimes checks the forms of a time, and where a duration leads.
func TestTimes(t *testing.T) {
	now := at("2026-01-04T10:00:00Z").AsTime()
	for _, c := range []struct {
		text string
		to   direction
		want string
	}{
		{"24h", ago, "2026-01-03T10:00:00Z"},
		{"24h", ahead, "2026-01-05T10:00:00Z"},
		{"0s", ahead, "2026-01-04T10:00:00Z"},
		{"2026-11-29", ago, "2026-11-29T00:00:00Z"},
		{"2026-11-29", ahead, "2026-11-29T00:00:00Z"},
		{"2026-11-29T10:00:00+01:00", ahead, "2026-11-29T09:00:00Z"},
	} {
		got, err := bound("from", c.text, now, c.to)
		if err != nil || !proto.Equal(got, at(c.want)) {
			t.Errorf("bound(%q, %d) = %v, %v, want %s", c.text, c.to, got, err, c.want)
		}
	}
	request, err := (&disputeSelection{dueFrom: "0s", dueTo: "24h"}).request(now)
	if err != nil || !proto.Equal(request.GetDueTo(), at("2026-01-05T10:00:00Z")) || !proto.Equal(request.GetDueFrom(), at("2026-01-04T10:00:00Z")) {
		t.Errorf("request = %v, %v, want the day after now", request, err)
	}
	for to, want := range map[direction]string{ago: "24h for 24 hours ago", ahead: "24h for 24 hours ahead"} {
		if _, err := bound("to", "2026-13-01", now, to); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("bound(2026-13-01, %d) = %v, want the forms with %q", to, err, want)
		}
	}
}

func TestAmount(t *testing.T) {
	for want, m := range map[string]*payrelayv1.Money{
		"100.50 USD":            {MinorUnits: 10050, Currency: "USD"},
		"0.05 USD":              {MinorUnits: 5, Currency: "USD"},
		"0.00 USD":              {Currency: "USD"},
		"500 JPY":               {MinorUnits: 500, Currency: "JPY"},
		"1.005 USD":             {MinorUnits: 1005, Currency: "USD", Exponent: proto.Int32(3)},
		"12 USD":                {MinorUnits: 12, Currency: "USD", Exponent: proto.Int32(0)},
		"7 XYZ9 in minor units": {MinorUnits: 7, Currency: "XYZ9"},
	} {
		if got := amount(m); got != want {
			t.Errorf("amount(%v) = %q, want %q", m, got, want)
		}
	}
	if got := amount(nil); got != "" {
		t.Errorf("amount(nil) = %q, want nothing", got)
	}
}
