package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Engine {
		return engine{path: filepath.Join(t.TempDir(), "payrelay.db")}
	})
}

// engine is a database, by the path of its file.
type engine struct{ path string }

// Open migrates each time, as every process does when it starts.
func (e engine) Open(t *testing.T) storetest.Store {
	t.Helper()
	opened := openAt(t, e.path)
	if err := opened.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return opened
}

func (e engine) Body(t *testing.T, key payments.Key) (body []byte) {
	t.Helper()
	row := raw(t, e.path).QueryRow(`SELECT (SELECT body FROM bodies WHERE event = seq AND bodies.recorded_at = events.recorded_at) FROM events
		WHERE provider = ? AND event_id = ? AND `+store.KindColumn+" = ?", key.Source, key.EventID, string(key.Kind))
	if err := row.Scan(&body); err != nil {
		t.Fatal(err)
	}
	return body
}
