-- Indexes by which operators select.

-- +goose Up

-- The indexes for filters hold all that operators select by, so that a page and its total
-- are found without reading the payloads. Their first columns are those by which dead
-- letters are counted.
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE resolution = '';
CREATE INDEX dead_letters_open_filter ON dead_letters
    (reason, provider, id, kind, created_at, order_id, dispute_id, event_id, detail) WHERE resolution = '';
CREATE INDEX dead_letters_settled_filter ON dead_letters
    (reason, provider, id, kind, created_at, order_id, dispute_id, event_id, detail) WHERE resolution <> '';
CREATE INDEX dead_letters_by_order ON dead_letters (order_id) WHERE order_id <> '';
CREATE INDEX dead_letters_by_dispute ON dead_letters (dispute_id) WHERE dispute_id <> '';
