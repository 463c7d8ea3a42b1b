-- What a client keeps of the server, so that it can be read without a connection; and what is its own.

CREATE TABLE login (                -- who is logged in here: one row at most
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    user_id       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    access_token  TEXT    NOT NULL, -- empty once it is known to have ended
    refresh_token TEXT    NOT NULL
) STRICT;

CREATE TABLE stream (               -- how far each stream was taken over
    id    TEXT    PRIMARY KEY,
    epoch TEXT    NOT NULL,
    seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE room (
    id    TEXT PRIMARY KEY,
    space TEXT NOT NULL,
    view  TEXT NOT NULL             -- JSON, as the server gave it
) STRICT, WITHOUT ROWID;

CREATE TABLE space (
    id   TEXT PRIMARY KEY,
    view TEXT NOT NULL              -- JSON: settings, version, members
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    room      TEXT    NOT NULL,
    seq       INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    client_id TEXT    NOT NULL,
    sender    TEXT    NOT NULL,
    view      TEXT    NOT NULL,     -- JSON
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_id ON message (id);
CREATE INDEX message_by_client_id ON message (client_id, sender);

CREATE TABLE event (
    stream TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    json   TEXT    NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE document (             -- the user's own: profile, settings
    name    TEXT    PRIMARY KEY,
    mine    TEXT    NOT NULL,       -- JSON, as it is here
    base    TEXT    NOT NULL,       -- JSON, as it was when both sides had the same
    version INTEGER NOT NULL DEFAULT 0 -- that the server gave to the base
) STRICT, WITHOUT ROWID;

CREATE TABLE space_key (
    space   TEXT    PRIMARY KEY,
    blob    TEXT    NOT NULL,
    version INTEGER NOT NULL        -- rises with each change made here; 0 for one that came from the server
) STRICT, WITHOUT ROWID;
CREATE INDEX space_key_changed ON space_key (version);

CREATE TABLE number (               -- single numbers by name
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
