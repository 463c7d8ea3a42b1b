-- Bearer tokens: only the hash of a token is kept, so a stolen file opens nothing.
CREATE TABLE token (
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 8 AND 64),
    name          TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('read', 'write', 'admin')),
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the token's text
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;
