package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
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

func (e engine) Body(t *testing.T, key payments.Key) (body []byte) {
	withConnection(t, e.databaseURL, func(conn *pgx.Conn) error {
		row := conn.QueryRow(t.Context(), "SELECT body FROM events WHERE provider = $1 AND event_id = $2", key.Provider, key.EventID)
		return row.Scan(&body)
	})
	return body
}
