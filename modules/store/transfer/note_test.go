package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEmptyNoteCounts(t *testing.T) { // one that was not written to its end
	path := filepath.Join(t.TempDir(), "payrelay.db")
	if err := os.WriteFile(path+MovingSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckNotMoved(path); err == nil || !strings.Contains(err.Error(), "it is not known") {
		t.Errorf("CheckNotMoved = %v, want the error that it is not known", err)
	}
}

func TestExplain(t *testing.T) {
	n := Note{filepath.Join(t.TempDir(), "payrelay.db"), "postgres://host/name"}
	want := func(err error, words string) {
		t.Helper()
		if got := n.Explain(err); got == nil || !strings.HasPrefix(got.Error(), words) || !errors.Is(got, err) {
			t.Errorf("Explain(%v) = %v, want %s", err, got, words)
		}
	}
	if err := n.Explain(nil); err != nil {
		t.Error(err)
	}
	want(errors.New("no room"), "nothing was copied: ")
	if err := n.Begin(); err != nil {
		t.Fatal(err)
	}
	want(errors.New("lock timeout"), "it is not known yet whether an earlier copy is there: run the same command again")
	want(fmt.Errorf("fill: %w", ErrUncertain), "it is not known whether everything was copied: run the same command again")
}

func TestProgressIsPrintedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		progress, tally := PrintProgress(&out), NewTally("events")
		for range 10 {
			time.Sleep(progressPeriod / 4)
			if err := tally.Add(nil); err != nil {
				t.Fatal(err)
			}
			progress("copied", tally)
		}
		if want := "events: 4 rows copied\nevents: 8 rows copied\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	})
}
