-- Fills the new columns and builds indexes while others write. Each step can be repeated
-- after one that was interrupted, which leaves an invalid index.

-- +goose NO TRANSACTION
-- +goose Up

-- The builds wait for all older transactions, and nothing waits for them.
SET lock_timeout = 0;

-- The trigger sets the column. A batch locks its rows only for a moment.
-- +goose StatementBegin
DO $$
DECLARE
    batch bigint[];
    last  bigint := 0;
BEGIN
    LOOP
        batch := ARRAY(SELECT id FROM dead_letters WHERE id > last ORDER BY id LIMIT 500);
        EXIT WHEN cardinality(batch) = 0;
        UPDATE dead_letters SET detail = detail WHERE id = ANY (batch) AND search IS NULL;
        last := batch[cardinality(batch)];
        COMMIT;
    END LOOP;
END $$;
-- +goose StatementEnd

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
