-- Orders and disputes are separate aggregates, and a dispute belongs to a source. An
-- event is identified by its source, kind and id.
--
-- No table is rewritten: the defaults are constants, and they are those of rows that
-- the first release writes until the migration is finished.

-- +goose Up

-- The order in which a writer locks them.
LOCK TABLE orders, disputes, events, dead_letters IN ACCESS EXCLUSIVE MODE;

-- rules is the version of the rules by which the state was folded from its events: 1
-- for those of the first release. parts is text that only the ledger reads. An
-- exponent is the number of decimals of an amount plus 1, or 0 for the usual ones.
ALTER TABLE orders
    ADD COLUMN exponent      smallint NOT NULL DEFAULT 0,
    ADD COLUMN parts         text     COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN rules         smallint NOT NULL DEFAULT 1,
    ADD COLUMN head_refunded bigint   NOT NULL DEFAULT 0,
    ADD COLUMN head_captured bigint   NOT NULL DEFAULT 0,
    ADD COLUMN head_source   text     COLLATE "C" NOT NULL DEFAULT '',
    -- events is the known number of events in the history. pending_at
    -- is not NULL while a long history is being folded again: it is the end of the part
    -- that has been.
    ADD COLUMN events        bigint   NOT NULL DEFAULT 0,
    ADD COLUMN pending_at    timestamptz;

-- What the events of an order or a dispute before a time fold to, for those with a
-- long history. state is text that only the ledger reads. For an order the source and
-- the dispute_id are empty, and for a dispute the order_id.
CREATE TABLE checkpoints (
    order_id   text        COLLATE "C" NOT NULL,
    source     text        COLLATE "C" NOT NULL,
    dispute_id text        COLLATE "C" NOT NULL,
    before_at  timestamptz NOT NULL,
    rules      smallint    NOT NULL,
    state      text        NOT NULL,
    PRIMARY KEY (order_id, source, dispute_id, before_at)
);

-- Roles that may insert events may also write and delete checkpoints.
-- +goose StatementBegin
DO $$
DECLARE
    writer name;
BEGIN
    FOR writer IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND table_name = 'events' AND privilege_type = 'INSERT' AND grantee NOT IN (current_user, 'PUBLIC')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints TO %I', writer);
    END LOOP;
END $$;
-- +goose StatementEnd

-- The version is the number of commits that changed the dispute. The source is empty
-- until the next migrations.
ALTER TABLE disputes
    DROP CONSTRAINT disputes_order_id_fkey,
    ADD COLUMN source           text     COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN version          bigint   NOT NULL DEFAULT 1,
    ADD COLUMN stage            text     COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN status_at        timestamptz,
    ADD COLUMN reopened         integer  NOT NULL DEFAULT 0,
    ADD COLUMN exponent         smallint NOT NULL DEFAULT 0,
    ADD COLUMN outcome_amount   bigint   NOT NULL DEFAULT 0,
    ADD COLUMN outcome_currency text     COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN outcome_exponent smallint NOT NULL DEFAULT 0,
    ADD COLUMN rules            smallint NOT NULL DEFAULT 1,
    ADD COLUMN events           bigint   NOT NULL DEFAULT 0,
    ADD COLUMN pending_at       timestamptz,
    ADD COLUMN head_stage       smallint NOT NULL DEFAULT 0,
    ADD COLUMN head_source      text     COLLATE "C" NOT NULL DEFAULT '';

-- facts is the digest by which a repeated event is recognized, NULL for an event of
-- the first release; digest is that of the body. subject is binary Protobuf, and NULL
-- if the other columns hold all of what the event reports.
ALTER TABLE events
    ADD COLUMN note      boolean NOT NULL DEFAULT false,
    ADD COLUMN forced    boolean NOT NULL DEFAULT false,
    ADD COLUMN discarded boolean NOT NULL DEFAULT false,
    ADD COLUMN facts     bytea,
    ADD COLUMN subject   bytea;

-- The digest of an event's dead letter is that of its facts, which include the kind.
-- last_at is NULL for a dead letter that came once.
ALTER TABLE dead_letters
    ADD COLUMN kind        text   COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN deliveries  bigint NOT NULL DEFAULT 1,
    ADD COLUMN last_at     timestamptz,
    ADD COLUMN resolved_by text   COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN why         text   COLLATE "C" NOT NULL DEFAULT '';
