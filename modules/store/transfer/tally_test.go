package transfer

import "testing"

func tallyOf(t *testing.T, rows ...[]any) *Tally {
	t.Helper()
	tally := NewTally("events")
	for _, row := range rows {
		if err := tally.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	return tally
}

// No two different tables have the same digest, however their values are split.
func TestDifferentTablesHaveDifferentDigests(t *testing.T) {
	tables := [][][]any{
		{}, {{nil}}, {{nil, nil}}, {{nil}, {nil, nil}}, {{int64(0)}}, {{int64(1)}}, {{int64(-1)}}, {{"", ""}}, {{"", nil}}, {{nil, ""}},
		{{"a", "b"}}, {{"ab", ""}}, {{"", "ab"}}, {{"b", "a"}}, {{"ab"}}, {{[]byte("ab")}}, {{"n"}}, {{"b"}, {"a"}}, {{"a"}, {"b"}}, {{"a"}},
		{{"\x00\x00\x00\x00\x00\x00\x00\x01"}}, {{[]byte("\x00\x00\x00\x00\x00\x00\x00\x01")}},
	}
	for i := range tables {
		for j := range tables {
			err := Comparison{Source: tallyOf(t, tables[i]...), Target: tallyOf(t, tables[j]...)}.Check()
			if (err == nil) != (i == j) {
				t.Errorf("Check of %q and %q = %v", tables[i], tables[j], err)
			}
		}
	}
}

func TestTallyRefusesOtherTypes(t *testing.T) {
	for _, value := range []any{true, 1, int32(1), 1.0} {
		if err := NewTally("events").Add([]any{value}); err == nil {
			t.Errorf("Add(%T) = nil, want an error", value)
		}
	}
}
