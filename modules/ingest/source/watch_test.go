package source

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestReload changes the configuration and its secrets, rightly and wrongly.
func TestReload(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, longSecret)
	one := shop("secrets: [{secret_file: "+secret+"}]", "rate_limit: 1")
	other := strings.Replace(strings.Replace(one, "sources:\n", "", 1), "name: shop", "name: other", 1)
	path := written(t, one)
	live, err := Open(path, false, log)
	if err != nil {
		t.Fatal(err)
	}
	first := live.Set()
	shopOf := func() *Source { return live.Set().Find("shop") }

	live.Reload()
	if live.Set() != first || out.Len() > 0 {
		t.Errorf("a reload without a change replaced the set, or logged %s", out.String())
	}
	write(t, path, "# a comment\n"+one)
	live.Reload()
	if live.Set() != first || out.Len() > 0 {
		t.Errorf("a reload after a change of a comment replaced the set, or logged %s", out.String())
	}

	shopOf().TakeTurn()
	write(t, path, one+other)
	live.Reload()
	if shopOf() != first.Find("shop") || shopOf().TakeTurn() || live.Set().Find("other") == nil || !strings.Contains(out.String(), "added=[other] changed=[] removed=[]") {
		t.Errorf("after a source was added: the unchanged one was replaced, or the log is wrong: %s", out.String())
	}

	out.Reset()
	write(t, path, "sources: nonsense")
	live.Reload()
	live.Reload()
	if live.Set().Find("other") == nil || strings.Count(out.String(), "level=ERROR") != 1 || !strings.Contains(out.String(), "those before the change stay in use") {
		t.Errorf("after a wrong change: the sources changed, or the log has the error not once: %s", out.String())
	}

	out.Reset()
	write(t, path, one)
	write(t, secret, strings.Replace(longSecret, "MfKQ", "MfKR", 1))
	live.Reload()
	if shopOf() == first.Find("shop") || !shopOf().TakeTurn() || live.Set().Find("other") != nil || !strings.Contains(out.String(), "added=[] changed=[shop] removed=[other]") {
		t.Errorf("after another secret: the source was not replaced, or the log is wrong: %s", out.String())
	}
	if strings.Contains(out.String(), "whsec_") {
		t.Errorf("the log has a secret: %s", out.String())
	}
	// The same error is logged again after the file was right.
	out.Reset()
	write(t, path, "sources: nonsense")
	live.Reload()
	if !strings.Contains(out.String(), "level=ERROR") {
		t.Errorf("log = %q, want the error again", out.String())
	}
}

func TestRunReloads(t *testing.T) {
	path := written(t, signedShop())
	synctest.Test(t, func(t *testing.T) {
		live, err := Open(path, false, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { live.Run(ctx) })
		write(t, path, strings.Replace(signedShop(), "name: shop", "name: store", 1))
		synctest.Wait()
		if live.Set().Find("store") != nil {
			t.Error("the sources were reloaded before the time")
		}
		time.Sleep(2 * pollInterval) // on the clock of the bubble
		synctest.Wait()
		if live.Set().Find("store") == nil || live.Set().Find("shop") != nil {
			t.Error("the sources were not reloaded")
		}
		cancel()
		running.Wait()
	})
}

// TestRunWaitsForAFileThatIsBeingWritten checks that a part of a file, which may be valid
// and lack sources or the end of a secret, is not taken for the file.
func TestRunWaitsForAFileThatIsBeingWritten(t *testing.T) {
	open := shop("secrets:", "  - secret: "+longSecret)
	limited := open + "        not_after: 2020-01-01T00:00:00Z\n"
	path := written(t, limited+"  - name: other\n    provider: generic\n    secrets: [{secret: "+longSecret+"}]\n")
	synctest.Test(t, func(t *testing.T) {
		live, err := Open(path, false, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		before := live.Set()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { live.Run(ctx) })
		for _, part := range []string{open, limited} { // each for one look only
			time.Sleep(pollInterval / 2) // on the clock of the bubble
			write(t, path, part)
			time.Sleep(pollInterval / 2)
			synctest.Wait()
			if live.Set() != before {
				t.Errorf("a part of a file is in use: %q", part)
			}
		}
		cancel()
		running.Wait()
	})
}
