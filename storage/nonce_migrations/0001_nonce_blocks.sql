-- The numbers of each data key that were given out; whatever is below `next` is never given again.
CREATE TABLE nonce_block (
    key_id TEXT    NOT NULL PRIMARY KEY CHECK (length(key_id) BETWEEN 1 AND 64),
    next   INTEGER NOT NULL CHECK (next > 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER nonce_block_rises BEFORE UPDATE ON nonce_block
WHEN new.next <= old.next OR new.key_id <> old.key_id
BEGIN
    SELECT RAISE(ABORT, 'numbers that were given out are not taken back');
END;

CREATE TRIGGER nonce_block_stays BEFORE DELETE ON nonce_block
BEGIN
    SELECT RAISE(ABORT, 'numbers that were given out are not forgotten');
END;
