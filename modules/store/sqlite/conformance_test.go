package sqlite_test

import (
	"path/filepath"
	"testing"

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
