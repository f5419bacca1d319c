-- Times are microseconds since 1970, in UTC; NULL is "none" or "not known".
-- Amounts are minor units of their currency; without a currency there is none.

-- +goose Up

-- The state of each order. An order that is known only through its disputes has
-- no status; one that only events outside of every history name has version 0
-- too, and counts as not stored. The version counts the commits that changed the
-- order or any of its disputes; head_* is the place of the newest event of its
-- history.
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

-- The state of each dispute. One whose updates were all refused has no status.
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

-- Every recorded update, for ever: its key is the idempotency key. dispute_id is
-- empty for an event of the order itself. in_history says that the state is
-- folded from it. The body comes last, so that reading the rest of a row does
-- not have to read through it.
--
-- order_ref is the id of the order's row. It is what events are found by, because
-- the events of one time are mostly of orders of one time: an index by a number
-- that rises is written in a few places, one by order_id all over.
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
-- Disputes are rare, so these two cost next to nothing.
CREATE INDEX events_by_dispute ON events (dispute_id) WHERE dispute_id <> '';
CREATE INDEX events_of_disputes ON events (seq) WHERE dispute_id <> '';

-- What waits for an operator. resolution is empty while it does.
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
