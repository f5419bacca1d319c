-- Replaces the old keys by the new ones. After it the first release cannot write, because
-- it would apply its own rules to data of this release. Its commits fail and are retried,
-- because the domain that they name no longer exists.

-- +goose Up

-- The order in which a writer locks them.
LOCK TABLE orders, disputes, events IN ACCESS EXCLUSIVE MODE;

-- A statement casts "as many rows were written as expected" to this domain, which
-- aborts the transaction if that is false.
CREATE DOMAIN all_written AS boolean CONSTRAINT another_writer_was_first CHECK (VALUE);
DROP DOMAIN first_writer;

-- The disputes that were added after the previous migration.
UPDATE disputes SET source = coalesce((SELECT provider FROM events
    WHERE events.dispute_id = disputes.dispute_id AND events.dispute_id <> ''
    ORDER BY in_history DESC, occurred_at, seq LIMIT 1), 'generic')
WHERE source = '';

ALTER TABLE disputes
    ALTER COLUMN source DROP DEFAULT,
    DROP CONSTRAINT disputes_pkey,
    ADD CONSTRAINT disputes_pkey PRIMARY KEY USING INDEX disputes_by_key;
DROP INDEX disputes_by_opening;
ALTER INDEX disputes_by_opening_and_key RENAME TO disputes_by_opening;

ALTER TABLE events DROP CONSTRAINT events_event_id_provider_key;

DROP INDEX events_by_order;
ALTER INDEX events_by_order_and_time RENAME TO events_by_order;
DROP INDEX events_by_dispute;
ALTER INDEX events_by_dispute_and_time RENAME TO events_by_dispute;
