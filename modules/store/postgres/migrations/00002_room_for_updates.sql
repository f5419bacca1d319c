-- An order is mostly changed soon after it was created. With room on its page the
-- new version goes beside the old one, and no index has to be told.

-- +goose Up

ALTER TABLE orders SET (fillfactor = 50);
