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
		{[]string{"replay", "1", "2", "9", "--why", "x"}, "ID  VERDICT\n1   applied\n2   dead_lettered: contradiction\n9   skipped: there is no dead letter with this id\n\n3 replayed\n  1 applied\n  1 dead_lettered: contradiction\n  1 skipped\n", 3, "2 of 3 dead letters are not settled"},
		{[]string{"accept", "9", "--why", "x"}, "skipped: there is no dead letter with this id\n", 3, "dead letter 9 was skipped: there is no"},
		{[]string{"replay", "2", "--dry-run"}, "dead_lettered: contradiction\n", 3, "1 of 1 dead letters"},
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

// TestActionByFilter checks that an action by a filter goes on until all is done, and
// takes nothing that comes later.
func TestActionByFilter(t *testing.T) {
	f := judging()
	out, _, err := f.run(t, "deadletters", "replay", "--source", "shop", "--why", "after the upgrade")
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
	if strings.Count(out, `"verdict"`) != 3 || !strings.Contains(out, `"total": 3`) || !strings.HasPrefix(notes, "3 judged, and nothing written\n") || flags.ExitCode(err) != flags.ExitDifferences {
		t.Errorf("replay as JSON = %s, %q, %v", out, notes, err)
	}
}

func TestAllSelectsEverything(t *testing.T) {
	f := judging()
	if _, _, err := f.run(t, "deadletters", "discard", "--all", "--why", "x"); flags.ExitCode(err) != flags.ExitDifferences {
		t.Fatal(err)
	}
	selected := f.asked[0].(*payrelayv1.DiscardDeadLettersRequest).GetSelection().GetFilter()
	if selected.GetTimeFrom() == nil || selected.GetTimeFrom().AsTime().Unix() != 0 || selected.GetTimeTo() != nil || selected.GetText() != "" {
		t.Errorf("filter = %v, want one that selects all", selected)
	}
}

// TestManyNeedYesOnATerminal checks that a person sees the count first.
func TestManyNeedYesOnATerminal(t *testing.T) {
	for _, c := range []struct {
		letters, calls int
		yes, dry       bool
	}{{3, 0, false, false}, {3, 2, true, false}, {3, 2, false, true}, {1, 1, false, false}} {
		f := judging()
		f.letters = f.letters[:c.letters]
		var stdout, stderr bytes.Buffer
		command := &cobra.Command{}
		command.SetOut(&stdout)
		command.SetErr(&stderr)
		command.SetContext(t.Context())
		calls := 0
		s := settlement{action: action{name: "replay", done: "replayed"}, filter: &payrelayv1.DeadLetterFilter{}, terminal: true, yes: c.yes, dry: c.dry, format: output{"table"}}
		s.call = func(_ context.Context, _ Service, selected *payrelayv1.Selection, _ *payrelayv1.Decision, _ bool) (*payrelayv1.ActionReport, error) {
			calls++
			return f.action(selected), nil
		}
		err := s.run(command, f)
		if calls != c.calls {
			t.Errorf("%+v: %d calls, %v, want %d", c, calls, err, c.calls)
		}
		if c.calls == 0 && (flags.ExitCode(err) != flags.ExitUsage || !strings.Contains(err.Error(), "3 dead letters would be replayed") || !strings.Contains(stderr.String(), "     3 contradiction from shop\n")) {
			t.Errorf("%+v: %v, %q, want the counts and a mistake", c, err, stderr.String())
		}
		if c.calls == 2 && !strings.Contains(stderr.String(), "\r2 of 3\r3 of 3\n") {
			t.Errorf("%+v: progress = %q, want 2 of 3, then 3 of 3", c, stderr.String())
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
	s := settlement{action: action{name: "replay", done: "replayed"}, filter: &payrelayv1.DeadLetterFilter{}, format: output{"table"}}
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
