-- The actions of operators. A row is written in the transaction of what the action
-- changes, and is never changed or removed. order_id is empty if the target belongs to no
-- order. state_before and state_after are words for people.

-- +goose Up

CREATE TABLE audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    acted_at     INTEGER NOT NULL,
    who          TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    order_id     TEXT    NOT NULL,
    why          TEXT    NOT NULL,
    state_before TEXT    NOT NULL,
    state_after  TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (acted_at);
CREATE INDEX audit_by_order ON audit (order_id, id) WHERE order_id <> '';
