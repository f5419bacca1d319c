-- Adds columns to listings. No table is rewritten, and the previous release can write
-- meanwhile: it need not know the columns.

-- +goose Up

-- The order in which a writer locks them.
LOCK TABLE disputes, dead_letters IN ACCESS EXCLUSIVE MODE;

-- id is a number in the order in which disputes were first recorded, by which they are
-- listed. That of an old one is the seq of its first event, and unique for that reason; it
-- is NULL until the next migration. The numbers of new ones begin after those of all
-- events.
ALTER TABLE disputes ADD COLUMN id bigint;

-- +goose StatementBegin
DO $$
DECLARE
    writer name;
BEGIN
    EXECUTE format('CREATE SEQUENCE disputes_id_seq START %s OWNED BY disputes.id', (SELECT coalesce(max(seq), 0) + 1 FROM events));
    -- Roles that may insert events may also number disputes.
    FOR writer IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND table_name = 'events' AND privilege_type = 'INSERT' AND grantee NOT IN (current_user, 'PUBLIC')
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE disputes_id_seq TO %I', writer);
    END LOOP;
END $$;
-- +goose StatementEnd

ALTER TABLE disputes ALTER COLUMN id SET DEFAULT nextval('disputes_id_seq');

-- search has the texts in which operators search, in small letters. It is NULL for dead
-- letters from before until the next migration. An index has room for 2000 characters.
ALTER TABLE dead_letters ADD COLUMN search text COLLATE "C";

-- +goose StatementBegin
CREATE FUNCTION set_dead_letter_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := left(lower((NEW.detail || E'\n' || NEW.event_id || E'\n' || NEW.order_id || E'\n' || NEW.dispute_id) COLLATE "C"), 2000);
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER dead_letter_search BEFORE INSERT OR UPDATE OF event_id, order_id, dispute_id, detail
    ON dead_letters FOR EACH ROW EXECUTE FUNCTION set_dead_letter_search();
