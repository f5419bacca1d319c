-- Times are microseconds since 1970 in UTC, or NULL if there is none or it is not
-- known. Amounts are in minor units of their currency; without a currency there is
-- no amount.

-- +goose Up

-- The state of each order. The status is empty for an order that is known only
-- through its disputes. The version is the number of commits that changed the order
-- or any of its disputes; it is 0, and the order counts as not stored, if all its
-- events are outside of the history. head_* is the position of the newest event.
CREATE TABLE orders (
    id            INTEGER PRIMARY KEY,
    order_id      TEXT    NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    amount        INTEGER NOT NULL,
    currency      TEXT    NOT NULL,
    created_at    INTEGER,
    updated_at    INTEGER,
    head_at       INTEGER,
    head_rank     INTEGER NOT NULL,
    head_event_id TEXT    NOT NULL
) STRICT;

CREATE INDEX orders_by_creation ON orders (created_at, order_id);

-- The state of each dispute. The status is empty if all its updates were refused.
CREATE TABLE disputes (
    dispute_id      TEXT    NOT NULL PRIMARY KEY,
    order_id        TEXT    NOT NULL REFERENCES orders (order_id),
    status          TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    amount          INTEGER NOT NULL,
    currency        TEXT    NOT NULL,
    opened_at       INTEGER,
    updated_at      INTEGER,
    evidence_due_at INTEGER,
    head_at         INTEGER,
    head_rank       INTEGER NOT NULL,
    head_event_id   TEXT    NOT NULL
) STRICT;

CREATE INDEX disputes_by_order ON disputes (order_id);
CREATE INDEX disputes_by_opening ON disputes (opened_at, dispute_id);

-- Every recorded update, permanently: its key is the idempotency key. dispute_id is
-- empty for an event of the order itself. in_history is true if the state is folded
-- from the event. The body is the last column, so that the others can be read
-- without it.
--
-- order_ref is the id of the order's row, by which events are found. Events of the
-- same time mostly belong to orders of the same time, so an index by this ascending
-- number is written in a few places; one by order_id would be written everywhere.
CREATE TABLE events (
    seq                INTEGER PRIMARY KEY,
    provider           TEXT    NOT NULL,
    event_id           TEXT    NOT NULL,
    order_ref          INTEGER NOT NULL,
    order_id           TEXT    NOT NULL,
    dispute_id         TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,
    status             TEXT    NOT NULL,
    provider_status    TEXT    NOT NULL,
    reason             TEXT    NOT NULL,
    amount             INTEGER NOT NULL,
    currency           TEXT    NOT NULL,
    occurred_at        INTEGER NOT NULL,
    received_at        INTEGER,
    order_created_at   INTEGER,
    evidence_due_at    INTEGER,
    verdict            TEXT    NOT NULL,
    dead_letter_reason TEXT    NOT NULL,
    in_history         INTEGER NOT NULL,
    recorded_at        INTEGER NOT NULL,
    schema_version     INTEGER NOT NULL,
    digest             BLOB    NOT NULL,
    body               BLOB,
    UNIQUE (event_id, provider)
) STRICT;

CREATE INDEX events_by_order ON events (order_ref);
-- Disputes are rare, so these two cost almost nothing.
CREATE INDEX events_by_dispute ON events (dispute_id) WHERE dispute_id <> '';
CREATE INDEX events_of_disputes ON events (seq) WHERE dispute_id <> '';

-- Dead letters. resolution is empty while one waits for an operator.
CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    provider    TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    digest      BLOB    NOT NULL,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    dispute_id  TEXT    NOT NULL,
    payload     BLOB,
    created_at  INTEGER NOT NULL,
    resolution  TEXT    NOT NULL,
    resolved_at INTEGER,
    UNIQUE (provider, event_id, digest)
) STRICT;
