package store_test

import (
	"testing"

	"github.com/payrelay/payrelay/modules/store"
)

func tally(t *testing.T, rows ...[]any) *store.Tally {
	t.Helper()
	tally := store.NewTally("events")
	for _, row := range rows {
		if err := tally.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	return tally
}

// No two different tables have one digest because of how values follow each other.
func TestTalliesTellTablesApart(t *testing.T) {
	tables := [][][]any{
		{}, {{nil}}, {{nil, nil}}, {{nil}, {nil, nil}}, {{int64(0)}}, {{int64(1)}}, {{int64(-1)}}, {{"", ""}}, {{"", nil}}, {{nil, ""}},
		{{"a", "b"}}, {{"ab", ""}}, {{"", "ab"}}, {{"b", "a"}}, {{"ab"}}, {{[]byte("ab")}}, {{"n"}}, {{"b"}, {"a"}}, {{"a"}, {"b"}}, {{"a"}},
		{{"\x00\x00\x00\x00\x00\x00\x00\x01"}}, {{[]byte("\x00\x00\x00\x00\x00\x00\x00\x01")}},
	}
	for i := range tables {
		for j := range tables {
			err := store.Comparison{Source: tally(t, tables[i]...), Target: tally(t, tables[j]...)}.Check()
			if (err == nil) != (i == j) {
				t.Errorf("%q and %q: error %v", tables[i], tables[j], err)
			}
		}
	}
}

func TestTalliesRefuseOtherValues(t *testing.T) {
	for _, value := range []any{true, 1, int32(1), 1.0} {
		if err := store.NewTally("events").Add([]any{value}); err == nil {
			t.Errorf("%T is taken", value)
		}
	}
}
