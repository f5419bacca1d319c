-- An order mostly changes soon after it was created. If its page has room, the new
-- version of the row is written there, and no index changes.

-- +goose Up

ALTER TABLE orders SET (fillfactor = 50);
