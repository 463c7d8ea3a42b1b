-- Devices that are logged in, and pictures of users.

CREATE TABLE device (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again
    user_id       INTEGER NOT NULL REFERENCES user (id),
    label         TEXT    NOT NULL, -- a word to know it by
    family_hash   BLOB    NOT NULL UNIQUE CHECK (length(family_hash) = 32), -- SHA-256 of what its refresh tokens share
    refresh_hash  BLOB    NOT NULL CHECK (length(refresh_hash) = 32), -- of the present refresh token's own part
    previous_hash BLOB    CHECK (length(previous_hash) = 32), -- of the one before, good until the present one is used
    access_hash   BLOB    NOT NULL CHECK (length(access_hash) = 32), -- of the present access token
    access_expires_at_ms  INTEGER NOT NULL,
    refresh_expires_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    seen_at_ms    INTEGER NOT NULL -- when it got its present tokens
) STRICT;
CREATE INDEX device_by_user ON device (user_id, seen_at_ms);
CREATE INDEX device_by_expiry ON device (refresh_expires_at_ms);

CREATE TABLE avatar (
    user_id INTEGER PRIMARY KEY REFERENCES user (id),
    type    TEXT    NOT NULL CHECK (type IN ('image/png', 'image/jpeg', 'image/gif', 'image/webp')),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the image
    image   BLOB    NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;

-- So that whoever was away finds the few profiles that changed meanwhile.
CREATE INDEX event_of_profile ON event (position) WHERE kind = 'user.changed';
