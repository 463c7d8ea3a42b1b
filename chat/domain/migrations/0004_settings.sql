-- What users keep here for their own devices: settings that the server can't read, and keys of spaces.

CREATE TABLE signing_key (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again
    user_id       INTEGER NOT NULL REFERENCES user (id),
    algorithm     TEXT    NOT NULL CHECK (algorithm IN ('ed448', 'ed25519')),
    public_key    TEXT    NOT NULL, -- base64
    created_at_ms INTEGER NOT NULL,
    UNIQUE (user_id, public_key)
) STRICT;

CREATE TABLE settings_document (
    user_id       INTEGER PRIMARY KEY REFERENCES user (id),
    version       INTEGER NOT NULL CHECK (version > 0),
    ciphertext    TEXT    NOT NULL, -- base64; only the user's devices open it
    algorithm     TEXT    NOT NULL,
    public_key    TEXT    NOT NULL, -- of the key that signed it; it may be unregistered since
    signature     TEXT    NOT NULL,
    changed_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE space_key (
    user_id       INTEGER NOT NULL REFERENCES user (id),
    space_id      INTEGER NOT NULL REFERENCES space (id),
    version       INTEGER NOT NULL, -- rises over all keys of the user: what is above the last one seen is new
    blob          TEXT    NOT NULL, -- opaque here
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, space_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX space_key_by_version ON space_key (user_id, version);
