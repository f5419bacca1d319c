package postgres

import (
	"context"
	"fmt"

	"github.com/payrelay/payrelay/modules/store"
)

// Examine reads the facts for a check of the installation. It changes nothing. The
// privileges are those of docs/postgresql.md for a process that does not migrate.
func (s *Store) Examine(ctx context.Context) (store.Examination, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var found store.Examination
	if err := s.reader.QueryRow(ctx, `SELECT clock_timestamp(), to_regclass('goose_db_version') IS NULL`).Scan(&found.Clock, &found.Empty); err != nil {
		return found, fmt.Errorf("examine database: %w", classified(err))
	}
	err := s.reader.QueryRow(ctx, selectLacking).Scan(&found.Lacking)
	if err != nil {
		return found, fmt.Errorf("read the privileges: %w", classified(err))
	}
	return found, nil
}

const selectLacking = `
WITH needed (name, privilege) AS (
	SELECT t, p FROM unnest(ARRAY['orders', 'disputes', 'events', 'bodies', 'dead_letters', 'checkpoints', 'erasures']) t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) p
	UNION ALL VALUES ('audit', 'SELECT'), ('audit', 'INSERT'), ('checkpoints', 'DELETE'), ('goose_db_version', 'SELECT')
), owned AS (
	SELECT CASE s.relkind WHEN 'S' THEN s.oid END AS oid, s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a'
	WHERE d.refobjid IN (SELECT to_regclass(name) FROM needed)
)
SELECT coalesce(array_agg(lacking ORDER BY lacking), '{}') FROM (
	SELECT privilege || ' on ' || name FROM needed
	WHERE to_regclass(name) IS NOT NULL AND NOT has_table_privilege(to_regclass(name), privilege)
	UNION ALL SELECT 'USAGE on ' || relname FROM owned WHERE NOT has_sequence_privilege(oid, 'USAGE')
) found (lacking)`
