package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Version is what the server of a database calls its own, such as "17.2".
// The URL is one that [Open] takes. No error tells the password.
func Version(ctx context.Context, databaseURL string) (string, error) {
	cfg, err := parse(databaseURL, readerSettings)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return "", fmt.Errorf("ask the database for its version: %w", classified(err))
	}
	defer func() { _ = conn.Close(ctx) }() // it has said it
	return conn.PgConn().ParameterStatus("server_version"), nil
}
