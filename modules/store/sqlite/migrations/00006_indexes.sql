-- Indexes by which operators select, and the number by which disputes are listed.

-- +goose Up

-- They hold what operators select by, so that a page and its total are found without
-- reading the payloads. The first two have the order of pages, and the texts in which
-- operators search. The last one is smaller, and has the order in which dead letters are
-- counted.
CREATE INDEX dead_letters_open ON dead_letters (id,
    lower(detail || char(10) || event_id || char(10) || order_id || char(10) || dispute_id), reason, provider, kind, created_at) WHERE resolution = '';
CREATE INDEX dead_letters_settled ON dead_letters (id,
    lower(detail || char(10) || event_id || char(10) || order_id || char(10) || dispute_id), reason, provider, kind, created_at) WHERE resolution <> '';
CREATE INDEX dead_letters_open_filter ON dead_letters (reason, provider, id, kind, created_at) WHERE resolution = '';
CREATE INDEX dead_letters_by_order ON dead_letters (order_id) WHERE order_id <> '';
CREATE INDEX dead_letters_by_dispute ON dead_letters (dispute_id) WHERE dispute_id <> '';

-- A dispute gets a number in the order in which it was first recorded, by which disputes
-- are listed. That of an old one is the seq of its first event, and unique for that reason.
CREATE TABLE new_disputes (
    id               INTEGER PRIMARY KEY,
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
    UNIQUE (dispute_id, source)
) STRICT;

INSERT INTO new_disputes
SELECT (SELECT min(seq) FROM events WHERE events.dispute_id = disputes.dispute_id AND events.dispute_id <> '' AND provider = source AND NOT note),
    dispute_id, source, order_id, version, stage, status, status_at, reopened, user_id, reason, amount, currency, exponent,
    outcome_amount, outcome_currency, outcome_exponent, opened_at, updated_at, evidence_due_at, rules, events, pending_at,
    head_at, head_stage, head_rank, head_event_id, head_source
FROM disputes ORDER BY 1 NULLS LAST;

DROP TABLE disputes;
ALTER TABLE new_disputes RENAME TO disputes;
CREATE INDEX disputes_by_order ON disputes (order_id);
CREATE INDEX disputes_by_opening ON disputes (opened_at, dispute_id, source);
CREATE INDEX disputes_by_deadline ON disputes (evidence_due_at) WHERE evidence_due_at IS NOT NULL;
