package postgres_test

import (
	"testing"

	"github.com/payrelay/payrelay/modules/store/storetest"
)

func TestConformance(t *testing.T) {
	serverURL(t)
	storetest.Run(t, func(t *testing.T) storetest.Engine {
		databaseURL, _ := migrated(t)
		return engine{databaseURL}
	})
}

type engine struct{ databaseURL string }

func (e engine) Open(t *testing.T) storetest.Store { return open(t, e.databaseURL) }
