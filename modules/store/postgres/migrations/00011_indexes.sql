-- Fills the new columns and builds indexes while others write. Each step can be repeated
-- after one that was interrupted, which leaves an invalid index.

-- +goose NO TRANSACTION
-- +goose Up

-- The builds wait for all older transactions, and nothing waits for them.
SET lock_timeout = 0;

-- The trigger sets the column. A batch locks its rows only for a moment, and in the order
-- in which a writer locks them, which sorts values and not columns of this table.
-- +goose StatementBegin
DO $$
DECLARE
    batch bigint[];
    last  bigint := 0;
BEGIN
    LOOP
        batch := ARRAY(SELECT id FROM dead_letters WHERE id > last ORDER BY id LIMIT 500);
        EXIT WHEN cardinality(batch) = 0;
        PERFORM FROM dead_letters WHERE id = ANY (batch) AND search IS NULL
            ORDER BY provider COLLATE "default", event_id COLLATE "default", digest FOR NO KEY UPDATE;
        UPDATE dead_letters SET detail = detail WHERE id = ANY (batch) AND search IS NULL;
        last := batch[cardinality(batch)];
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd

-- Events from after the previous migration do not count, because they have numbers that
-- new disputes can have too.
-- +goose StatementBegin
DO $$
DECLARE
    batch text[];
    last  text := '';
    first bigint := (SELECT seqstart FROM pg_sequence WHERE seqrelid = 'disputes_id_seq'::regclass);
BEGIN
    LOOP
        batch := ARRAY(SELECT DISTINCT dispute_id FROM disputes WHERE dispute_id COLLATE "C" > last ORDER BY dispute_id LIMIT 500);
        EXIT WHEN cardinality(batch) = 0;
        PERFORM FROM disputes WHERE dispute_id = ANY (batch) AND id IS NULL ORDER BY source COLLATE "C", dispute_id FOR NO KEY UPDATE;
        UPDATE disputes SET id = coalesce((SELECT min(seq) FROM events WHERE events.dispute_id = disputes.dispute_id
            AND events.dispute_id <> '' AND provider = source AND NOT note AND seq < first), nextval('disputes_id_seq'))
        WHERE dispute_id = ANY (batch) AND id IS NULL;
        last := batch[cardinality(batch)];
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd

DROP INDEX CONCURRENTLY IF EXISTS disputes_by_id;
CREATE UNIQUE INDEX CONCURRENTLY disputes_by_id ON disputes (id);
DROP INDEX CONCURRENTLY IF EXISTS disputes_by_deadline;
CREATE INDEX CONCURRENTLY disputes_by_deadline ON disputes (evidence_due_at) WHERE evidence_due_at IS NOT NULL;

-- They hold what operators select by, so that a page and its total are found without
-- reading the payloads.
DROP INDEX CONCURRENTLY IF EXISTS dead_letters_open;
CREATE INDEX CONCURRENTLY dead_letters_open ON dead_letters (id)
    INCLUDE (reason, provider, kind, created_at, resolution, search) WHERE resolution = '';
DROP INDEX CONCURRENTLY IF EXISTS dead_letters_settled;
CREATE INDEX CONCURRENTLY dead_letters_settled ON dead_letters (id)
    INCLUDE (reason, provider, kind, created_at, resolution, search) WHERE resolution <> '';
DROP INDEX CONCURRENTLY IF EXISTS dead_letters_by_order;
CREATE INDEX CONCURRENTLY dead_letters_by_order ON dead_letters (order_id) WHERE order_id <> '';
DROP INDEX CONCURRENTLY IF EXISTS dead_letters_by_dispute;
CREATE INDEX CONCURRENTLY dead_letters_by_dispute ON dead_letters (dispute_id) WHERE dispute_id <> '';

RESET lock_timeout;
