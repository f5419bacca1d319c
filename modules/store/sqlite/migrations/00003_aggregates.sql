-- Orders and disputes are separate aggregates, and a dispute belongs to a source. An
-- event is identified by its source, kind and id.

-- +goose Up

-- rules is the version of the rules by which the state was folded from its events: 1
-- for those of the first release. parts is text that only the ledger reads. An
-- exponent is the number of decimals of an amount plus 1, or 0 for the usual ones.
ALTER TABLE orders ADD COLUMN exponent      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN parts         TEXT    NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN rules         INTEGER NOT NULL DEFAULT 1;
ALTER TABLE orders ADD COLUMN head_refunded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN head_captured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN head_source   TEXT    NOT NULL DEFAULT '';
-- events is the known number of events in the history. pending_at is
-- not NULL while a long history is being folded again: it is the end of the part that
-- has been.
ALTER TABLE orders ADD COLUMN events        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN pending_at    INTEGER;

-- What the events of an order or a dispute before a time fold to, for those with a
-- long history. state is text that only the ledger reads. For an order the source and
-- the dispute_id are empty, and for a dispute the order_id.
CREATE TABLE checkpoints (
    order_id   TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    dispute_id TEXT    NOT NULL,
    before_at  INTEGER NOT NULL,
    rules      INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    PRIMARY KEY (order_id, source, dispute_id, before_at)
) STRICT, WITHOUT ROWID;

-- The version is the number of commits that changed the dispute.
CREATE TABLE new_disputes (
    dispute_id       TEXT    NOT NULL,
    source           TEXT    NOT NULL,
    order_id         TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    stage            TEXT    NOT NULL DEFAULT '',
    status           TEXT    NOT NULL,
    status_at        INTEGER,
    reopened         INTEGER NOT NULL DEFAULT 0,
    user_id          TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    amount           INTEGER NOT NULL,
    currency         TEXT    NOT NULL,
    exponent         INTEGER NOT NULL DEFAULT 0,
    outcome_amount   INTEGER NOT NULL DEFAULT 0,
    outcome_currency TEXT    NOT NULL DEFAULT '',
    outcome_exponent INTEGER NOT NULL DEFAULT 0,
    opened_at        INTEGER,
    updated_at       INTEGER,
    evidence_due_at  INTEGER,
    rules            INTEGER NOT NULL DEFAULT 1,
    events           INTEGER NOT NULL DEFAULT 0,
    pending_at       INTEGER,
    head_at          INTEGER,
    head_stage       INTEGER NOT NULL DEFAULT 0,
    head_rank        INTEGER NOT NULL,
    head_event_id    TEXT    NOT NULL,
    head_source      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (dispute_id, source)
) STRICT;

-- The source of a dispute is that of its oldest event.
INSERT INTO new_disputes (dispute_id, source, order_id, version, status, user_id, reason, amount, currency, opened_at, updated_at,
    evidence_due_at, head_at, head_rank, head_event_id)
SELECT dispute_id,
    coalesce((SELECT provider FROM events WHERE events.dispute_id = disputes.dispute_id AND events.dispute_id <> ''
        ORDER BY in_history DESC, occurred_at, seq LIMIT 1), 'generic'),
    order_id, 1, status, user_id, reason, amount, currency, opened_at, updated_at, evidence_due_at, head_at, head_rank, head_event_id
FROM disputes;

DROP TABLE disputes;
ALTER TABLE new_disputes RENAME TO disputes;
CREATE INDEX disputes_by_order ON disputes (order_id);
CREATE INDEX disputes_by_opening ON disputes (opened_at, dispute_id, source);

-- facts is the digest by which a repeated event is recognized, NULL for an event of
-- the first release; digest is that of the body, also when the body is gone. subject
-- is binary Protobuf, and NULL if the other columns hold all of what the event reports.
CREATE TABLE new_events (
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
    note               INTEGER NOT NULL DEFAULT 0,
    forced             INTEGER NOT NULL DEFAULT 0,
    discarded          INTEGER NOT NULL DEFAULT 0,
    facts              BLOB,
    subject            BLOB
) STRICT;

INSERT INTO new_events (seq, provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
    occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest)
SELECT seq, provider, event_id, order_ref, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
    occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, in_history, recorded_at, schema_version, digest
FROM events ORDER BY seq;

-- What the provider sent, byte for byte, for as long as it is kept. event is the seq of
-- the event, and recorded_at is the event's.
CREATE TABLE bodies (
    event       INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    body        BLOB    NOT NULL
) STRICT;

INSERT INTO bodies (event, recorded_at, body) SELECT seq, recorded_at, body FROM events WHERE length(body) > 0 ORDER BY seq;

DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE UNIQUE INDEX events_by_key ON events (event_id, provider, (CASE WHEN note THEN 'note' WHEN dispute_id <> '' THEN 'dispute' ELSE 'order' END));
CREATE INDEX events_by_order ON events (order_ref, occurred_at);
CREATE INDEX events_by_dispute ON events (dispute_id, occurred_at) WHERE dispute_id <> '';
CREATE INDEX events_of_disputes ON events (seq) WHERE dispute_id <> '';

-- The digest of an event's dead letter is that of its facts, which include the kind.
-- last_at is NULL for a dead letter that came once.
ALTER TABLE dead_letters ADD COLUMN kind        TEXT    NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN deliveries  INTEGER NOT NULL DEFAULT 1;
ALTER TABLE dead_letters ADD COLUMN last_at     INTEGER;
ALTER TABLE dead_letters ADD COLUMN resolved_by TEXT    NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN why         TEXT    NOT NULL DEFAULT '';
-- has_body is false once the body is gone from the payload.
ALTER TABLE dead_letters ADD COLUMN has_body    INTEGER NOT NULL DEFAULT 1;

-- Who had the data of a person erased, and what that was. person is the SHA-256 of
-- the user id. finished_at is NULL while the erasure is under way, or if it was
-- interrupted.
CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    person       BLOB    NOT NULL,
    asked_by     TEXT    NOT NULL,
    why          TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    orders       INTEGER NOT NULL DEFAULT 0,
    disputes     INTEGER NOT NULL DEFAULT 0,
    events       INTEGER NOT NULL DEFAULT 0,
    bodies       INTEGER NOT NULL DEFAULT 0,
    dead_letters INTEGER NOT NULL DEFAULT 0
) STRICT;
