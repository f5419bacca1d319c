package operate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// judging returns a service whose dead letters 1 and 3 can be applied, and 2 cannot.
func judging() *fake {
	f := filled()
	f.act = func(id int64) *payrelayv1.ActionResult {
		switch id {
		case 1, 3:
			return &payrelayv1.ActionResult{Id: id, Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}}
		case 2:
			return &payrelayv1.ActionResult{Id: id, Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION}}
		default:
			return &payrelayv1.ActionResult{Id: id, Skipped: "there is no dead letter with this id"}
		}
	}
	return f
}

// TestActionsByID checks what the commands print about dead letters that are named, and the exit code.
func TestActionsByID(t *testing.T) {
	for _, c := range []struct {
		args  []string
		want  string // the output without space at the ends of its lines
		code  int
		wrong string
	}{
		{[]string{"replay", "1", "--why", "x"}, "applied\n", 0, ""},
		{[]string{"accept", "1", "3", "--why", "x"}, "ID  VERDICT\n1   applied\n3   applied\n\n2 accepted\n  2 applied\n", 0, ""},
		{[]string{"replay", "1", "2", "9", "--why", "x"}, "ID  VERDICT\n1   applied\n2   dead_lettered: contradiction\n9   skipped: there is no dead letter with this id\n\n3 replayed\n  1 applied\n  1 dead_lettered: contradiction\n  1 skipped\n", 3, "1 of 3 stay open, and 1 were skipped"},
		{[]string{"replay", "2", "--why", "x"}, "dead_lettered: contradiction\n", 3, "1 of 1 stay open"},
		{[]string{"accept", "8", "9", "--why", "x"}, "ID  VERDICT\n8   skipped: there is no dead letter with this id\n9   skipped: there is no dead letter with this id\n\n2 accepted\n  2 skipped\n", 3, "2 of 2 were skipped"},
		{[]string{"accept", "9", "--why", "x"}, "skipped: there is no dead letter with this id\n", 3, "dead letter 9 was skipped: there is no"},
		{[]string{"accept", "1", "--why", "x", "--output", "csv"}, "id,verdict\r\n1,applied\r\n", 0, ""},
	} {
		out, _, err := judging().run(t, append([]string{"deadletters"}, c.args...)...)
		if out != c.want || flags.ExitCode(err) != c.code || c.code != 0 && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q = %q, %v with exit code %d, want %q, %q with %d", c.args, out, err, flags.ExitCode(err), c.want, c.wrong, c.code)
		}
	}
}

func TestDiscardHasNoVerdict(t *testing.T) {
	f := filled()
	f.act = func(id int64) *payrelayv1.ActionResult { return &payrelayv1.ActionResult{Id: id} }
	out, _, err := f.run(t, "deadletters", "discard", "1", "--why", "a test payment", "--by", "ann")
	if err != nil || out != "discarded\n" {
		t.Errorf("discard = %q, %v, want discarded", out, err)
	}
	asked := f.asked[0].(*payrelayv1.DiscardDeadLettersRequest)
	if d := asked.GetDecision(); d.GetOperator() != "ann" || d.GetReason() != "a test payment" || !slices.Equal(asked.GetSelection().GetIds(), []int64{1}) {
		t.Errorf("request = %v, want who and why", asked)
	}
}

// TestDryRunListsEachDeadLetter checks that a dry run says what each dead letter is about and
// what would become of it, in the conditional, and that it ends with exit code 0.
func TestDryRunListsEachDeadLetter(t *testing.T) {
	const heading = "ID  KIND   ORDER    DISPUTE    REASON         VERDICT\n"
	const second = "2   order  order-1  -          contradiction  would stay open: contradiction\n"
	const third = "3   -      -        dispute-3  undecodable    would be applied\n"
	const one = "ID  KIND   ORDER    DISPUTE  REASON         VERDICT\n2   order  order-1  -        contradiction  would stay open: contradiction\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"replay", "2"}, one + "\n1 judged, and nothing written\n  1 would stay open: contradiction\n"},
		{[]string{"accept", "2", "3"}, heading + second + third + "\n2 judged, and nothing written\n  1 would be applied\n  1 would stay open: contradiction\n"},
		{[]string{"replay", "--all"}, heading + "1   order  order-1  -          contradiction  would be applied\n" + second + third +
			"\n3 judged, and nothing written\n  2 would be applied\n  1 would stay open: contradiction\n"},
		{[]string{"discard", "9"}, "ID  KIND  ORDER  DISPUTE  REASON  VERDICT\n9   -     -      -        -       would be skipped: there is no dead letter with this id\n" +
			"\n1 judged, and nothing written\n  1 would be skipped\n"},
	} {
		f := judging()
		third := f.letters[2]
		third.Kind, third.OrderId, third.DisputeId, third.Reason = "", "", "dispute-3", payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
		out, notes, err := f.run(t, append(append([]string{"deadletters"}, c.args...), "--dry-run")...)
		if out != c.want || notes != "" || err != nil {
			t.Errorf("%q =\n%s%s%v, want\n%s", c.args, out, notes, err, c.want)
		}
	}
}

// TestDryRunOfMany checks that a dry run lists the first hundred, and counts all.
func TestDryRunOfMany(t *testing.T) {
	f := judging()
	f.act = func(id int64) *payrelayv1.ActionResult {
		return &payrelayv1.ActionResult{Id: id, Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DUPLICATE}}
	}
	for id := int64(4); id <= 102; id++ {
		f.letters = append(f.letters, &payrelayv1.DeadLetter{Id: id, Kind: "order"})
	}
	f.part = 50
	out, _, err := f.run(t, "deadletters", "replay", "--reason", "conflict", "--dry-run")
	if strings.Count(out, "\n") != 1+100+4 || !strings.HasSuffix(out, "\n… and 2 more\n\n102 judged, and nothing written\n  102 would be a duplicate\n") || err != nil {
		t.Errorf("replay = %s, %v, want 100 of 102", out, err)
	}
}

// TestFilterWithoutMatches checks the sentence about a filter that selects nothing.
func TestFilterWithoutMatches(t *testing.T) {
	for _, line := range []string{"list --source none", "replay --source none --why x", "accept --all --dry-run", "discard --reason conflict --why x"} {
		out, notes, err := new(fake).run(t, append([]string{"deadletters"}, strings.Fields(line)...)...)
		if out != "no open dead letter matches\n" || notes != "" || err != nil {
			t.Errorf("app deadletters %s = %q, %q, %v", line, out, notes, err)
		}
		out, notes, err = new(fake).run(t, append([]string{"deadletters", "--output", "json"}, strings.Fields(line)...)...)
		if strings.Join(strings.Fields(out), "") != `{"items":[],"total":0}` || notes != "no open dead letter matches\n" || err != nil {
			t.Errorf("app deadletters %s as JSON = %q, %q, %v", line, out, notes, err)
		}
	}
	if out, _, err := new(fake).run(t, "deadletters", "list", "--source", "none", "--settled"); out != "no dead letter matches\n" || err != nil {
		t.Errorf("list --settled = %q, %v", out, err)
	}
	if out, _, err := new(fake).run(t, "deadletters", "list"); !strings.HasSuffix(out, "\n0 dead letters\n") || err != nil {
		t.Errorf("list = %q, %v", out, err)
	}
}

// TestActionByFilter checks that an action by a filter goes on until all is done, and
// takes nothing that comes later.
func TestActionByFilter(t *testing.T) {
	f := judging()
	out, _, err := f.run(t, "deadletters", "replay", "--source", "shop", "--why", "after the upgrade", "--yes")
	if want := "3 replayed\n  2 applied\n  1 dead_lettered: contradiction\n"; out != want || flags.ExitCode(err) != flags.ExitDifferences {
		t.Errorf("replay = %q, %v, want %q and exit code 3", out, err, want)
	}
	if len(f.asked) != 2 {
		t.Fatalf("%d calls, want 2", len(f.asked))
	}
	second := f.asked[1].(*payrelayv1.ReplayDeadLettersRequest).GetSelection()
	if second.GetAfterId() != 2 || second.GetUpToId() != 99 || second.GetFilter().GetSources()[0] != "shop" {
		t.Errorf("second selection = %v, want that it goes on after 2, up to 99", second)
	}
	out, notes, err := judging().run(t, "deadletters", "replay", "--all", "--dry-run", "--output", "json")
	if strings.Count(out, `"verdict"`) != 3 || !strings.Contains(out, `"total": 3`) || !strings.HasPrefix(notes, "3 judged, and nothing written\n") || err != nil {
		t.Errorf("replay as JSON = %s, %q, %v", out, notes, err)
	}
}

func TestAllSelectsEverything(t *testing.T) {
	f := judging()
	if _, _, err := f.run(t, "deadletters", "discard", "--all", "--why", "x", "--yes"); flags.ExitCode(err) != flags.ExitDifferences {
		t.Fatal(err)
	}
	selected := f.asked[0].(*payrelayv1.DiscardDeadLettersRequest).GetSelection().GetFilter()
	if selected.GetTimeFrom() == nil || selected.GetTimeFrom().AsTime().Unix() != 0 || selected.GetTimeTo() != nil || selected.GetText() != "" {
		t.Errorf("filter = %v, want one that selects all", selected)
	}
}

// TestManyNeedYes checks that more than one dead letter is refused with the counts, whether a
// person sees them or not.
func TestManyNeedYes(t *testing.T) {
	for _, c := range []struct {
		letters, calls int
		yes, dry       bool
	}{{3, 0, false, false}, {3, 2, true, false}, {3, 2, false, true}, {1, 1, false, false}} {
		for _, terminal := range []bool{false, true} {
			f := judging()
			f.letters = f.letters[:c.letters]
			var stdout, stderr bytes.Buffer
			command := &cobra.Command{}
			command.SetOut(&stdout)
			command.SetErr(&stderr)
			command.SetContext(t.Context())
			calls := 0
			s := settlement{action: action{name: "replay", done: "replayed"}, filter: &payrelayv1.DeadLetterFilter{}, terminal: terminal, yes: c.yes, dry: c.dry, format: output{"table"}}
			s.call = func(_ context.Context, _ Service, selected *payrelayv1.Selection, _ *payrelayv1.Decision, _ bool) (*payrelayv1.ActionReport, error) {
				calls++
				return f.action(selected), nil
			}
			err := s.run(command, f)
			if calls != c.calls {
				t.Errorf("%+v: %d calls, %v, want %d", c, calls, err, c.calls)
			}
			if c.calls == 0 && (flags.ExitCode(err) != flags.ExitUsage || err.Error() != "3 dead letters are selected: add --yes to settle them, or --dry-run to see what would happen" || stderr.String() != "     3 contradiction from shop\n") {
				t.Errorf("%+v: %v, %q, want the counts and a mistake", c, err, stderr.String())
			}
			if c.calls == 2 && strings.Contains(stderr.String(), "\r2 of 3\r3 of 3\n") != terminal {
				t.Errorf("%+v: progress = %q, want 2 of 3, then 3 of 3 on a terminal", c, stderr.String())
			}
		}
	}
}

// TestRederive checks the output and the exit code of app replay.
func TestRederive(t *testing.T) {
	parts := func() *fake {
		return &fake{rederived: []*payrelayv1.RederiveResponse{
			{Orders: 2, Events: 5, NextCursor: "more", Differences: []*payrelayv1.Difference{{OrderId: "o", Field: "status", Stored: "failed", Derived: "success"}}},
			{Orders: 1, Disputes: 1, Events: 3},
		}}
	}
	f := parts()
	out, _, err := f.run(t, "replay", "--source", "shop")
	want := "ORDER  SOURCE  DISPUTE  FIELD   STORED  DERIVED\no      -       -        status  failed  success\n\n1 difference\ncompared 3 orders and 1 disputes with 8 events\n"
	if out != want || flags.ExitCode(err) != flags.ExitDifferences {
		t.Errorf("replay = %q, %v, want %q", out, err, want)
	}
	if first := f.asked[0].(*payrelayv1.RederiveRequest); !first.GetDryRun() || first.GetSources()[0] != "shop" {
		t.Errorf("request = %v, want a dry run", first)
	}
	f = parts()
	if _, _, err := f.run(t, "replay", "--correct", "--why", "x"); err == nil || !strings.Contains(err.Error(), "are corrected") {
		t.Errorf("replay --correct = %v, want that they are corrected", err)
	}
	if first := f.asked[0].(*payrelayv1.RederiveRequest); first.GetDryRun() || first.GetDecision().GetReason() != "x" {
		t.Errorf("request = %v, want a correction", first)
	}
	f = &fake{rederived: []*payrelayv1.RederiveResponse{{Orders: 1}}}
	out, _, err = f.run(t, "replay", "--output", "json")
	if err != nil || strings.Join(strings.Fields(out), "") != `{"items":[],"total":0,"orders":1,"disputes":0,"events":0,"corrected":false}` {
		t.Errorf("replay without differences = %s, %v", out, err)
	}
	if _, _, err := parts().run(t, "replay", "--correct"); err == nil || !strings.Contains(err.Error(), "--why is missing") {
		t.Errorf("replay --correct = %v, want that --why is missing", err)
	}
}

// TestStoppedAction checks that an error says how far the action came.
func TestStoppedAction(t *testing.T) {
	f := judging()
	act := f.act
	f.act = func(id int64) *payrelayv1.ActionResult {
		if id == 3 {
			panic(fmt.Sprint(id))
		}
		return act(id)
	}
	s := settlement{action: action{name: "replay", done: "replayed"}, filter: &payrelayv1.DeadLetterFilter{}, yes: true, format: output{"table"}}
	s.call = func(_ context.Context, _ Service, selected *payrelayv1.Selection, _ *payrelayv1.Decision, _ bool) (*payrelayv1.ActionReport, error) {
		if selected.GetAfterId() > 0 {
			return nil, errNoLetter
		}
		return f.action(selected), nil
	}
	command := &cobra.Command{}
	command.SetContext(t.Context())
	if err := s.run(command, f); err == nil || !strings.Contains(err.Error(), "stopped after 2 dead letters") {
		t.Errorf("run() = %v, want how far it came", err)
	}
}
