-- Prepares the new keys while others write. Each step can be repeated after one that
-- was interrupted, which leaves an invalid index.

-- +goose NO TRANSACTION
-- +goose Up

-- The builds wait for all older transactions, and nothing waits for them.
SET lock_timeout = 0;

DROP INDEX CONCURRENTLY IF EXISTS events_by_key;
CREATE UNIQUE INDEX CONCURRENTLY events_by_key
    ON events (event_id, provider, (CASE WHEN note THEN 'note' WHEN dispute_id <> '' THEN 'dispute' ELSE 'order' END));

-- The source of a dispute is that of its oldest event. A batch locks its rows only for
-- a moment.
-- +goose StatementBegin
DO $$
DECLARE
    batch text[];
    last  text := '';
BEGIN
    LOOP
        batch := ARRAY(SELECT dispute_id FROM disputes WHERE dispute_id COLLATE "C" > last ORDER BY dispute_id LIMIT 500);
        EXIT WHEN cardinality(batch) = 0;
        UPDATE disputes SET source = coalesce((SELECT provider FROM events
            WHERE events.dispute_id = disputes.dispute_id AND events.dispute_id <> ''
            ORDER BY in_history DESC, occurred_at, seq LIMIT 1), 'generic')
        WHERE dispute_id = ANY (batch) AND source = '';
        last := batch[cardinality(batch)];
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd

DROP INDEX CONCURRENTLY IF EXISTS disputes_by_key;
CREATE UNIQUE INDEX CONCURRENTLY disputes_by_key ON disputes (dispute_id, source);
DROP INDEX CONCURRENTLY IF EXISTS disputes_by_opening_and_key;
CREATE INDEX CONCURRENTLY disputes_by_opening_and_key ON disputes (opened_at, dispute_id, source);

-- Long histories are read by time.
DROP INDEX CONCURRENTLY IF EXISTS events_by_order_and_time;
CREATE INDEX CONCURRENTLY events_by_order_and_time ON events (order_ref, occurred_at);
DROP INDEX CONCURRENTLY IF EXISTS events_by_dispute_and_time;
CREATE INDEX CONCURRENTLY events_by_dispute_and_time ON events (dispute_id, occurred_at) WHERE dispute_id <> '';

RESET lock_timeout;
