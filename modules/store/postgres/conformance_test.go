package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
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
		row := conn.QueryRow(t.Context(), "SELECT coalesce((SELECT body FROM bodies WHERE event = seq AND bodies.recorded_at = events.recorded_at), body) FROM events WHERE provider = $1 AND event_id = $2 AND "+store.KindColumn+" = $3", key.Source, key.EventID, key.Kind)
		return row.Scan(&body)
	})
	return body
}
