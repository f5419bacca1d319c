-- Adds columns to listings. No table is rewritten, and the previous release can write
-- meanwhile: it need not know the columns.

-- +goose Up

-- The order in which a writer locks them.
LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE;

-- search has the texts in which operators search, in small letters. It is NULL for dead
-- letters from before until the next migration. An index has room for 2000 characters.
ALTER TABLE dead_letters ADD COLUMN search text COLLATE "C";

-- +goose StatementBegin
CREATE FUNCTION set_dead_letter_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := left(lower((NEW.event_id || E'\n' || NEW.order_id || E'\n' || NEW.dispute_id || E'\n' || NEW.detail) COLLATE "C"), 2000);
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER dead_letter_search BEFORE INSERT OR UPDATE OF event_id, order_id, dispute_id, detail
    ON dead_letters FOR EACH ROW EXECUTE FUNCTION set_dead_letter_search();
