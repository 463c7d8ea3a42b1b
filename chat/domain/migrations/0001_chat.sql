-- Users, spaces, rooms, messages, and the events that tell of them.
--
-- A stream is a row of numbered events: a room, a space (who is in it, how it is called) and a user (what their other
-- devices should know) each are one, and share one row of ids. `seq` is dense from 1 in its stream; `position` is the
-- order in which events were committed, over all streams.

CREATE TABLE stream (
    id       INTEGER PRIMARY KEY,
    kind     TEXT    NOT NULL CHECK (kind IN ('room', 'space', 'user')),
    epoch    TEXT    NOT NULL, -- another one means that the numbers began anew
    last_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE event (
    position   INTEGER PRIMARY KEY,
    stream_id  INTEGER NOT NULL REFERENCES stream (id),
    seq        INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    actor_id   INTEGER,          -- the user who did it
    message_id INTEGER,          -- the message that it is about, whose present state is told with it
    body       TEXT,             -- JSON: what the kind says beyond that
    at_ms      INTEGER NOT NULL,
    UNIQUE (stream_id, seq)
) STRICT;

CREATE TABLE user (
    id            INTEGER PRIMARY KEY REFERENCES stream (id),
    name          TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    display_name  TEXT    NOT NULL DEFAULT '',
    password_hash TEXT    NOT NULL,
    server_role   TEXT    CHECK (server_role IN ('read', 'write', 'admin')), -- of databases and operation; none for most
    profile       TEXT    NOT NULL DEFAULT '{}', -- JSON
    profile_version INTEGER NOT NULL DEFAULT 1,
    created_at_ms INTEGER NOT NULL,
    disabled_at_ms INTEGER
) STRICT;

CREATE TABLE space (
    id            INTEGER PRIMARY KEY REFERENCES stream (id),
    kind          TEXT    NOT NULL CHECK (kind IN ('space', 'direct')),
    settings      TEXT    NOT NULL, -- JSON: name, description, emoji, stickers
    version       INTEGER NOT NULL DEFAULT 1, -- of the settings
    is_open       INTEGER NOT NULL DEFAULT 0 CHECK (is_open IN (0, 1)), -- whoever knows its id may join
    pair          TEXT    UNIQUE,   -- of a direct space: both ids, the lower one first
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
    space_id       INTEGER NOT NULL REFERENCES space (id),
    user_id        INTEGER NOT NULL REFERENCES user (id),
    rank           INTEGER NOT NULL CHECK (rank BETWEEN 1 AND 4), -- member, moderator, admin, owner
    joined_at_ms   INTEGER NOT NULL,
    muted_until_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (space_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_user ON member (user_id, space_id);

CREATE TABLE invite (
    hash          BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the link's secret
    space_id      INTEGER NOT NULL REFERENCES space (id),
    made_by       INTEGER NOT NULL REFERENCES user (id),
    expires_at_ms INTEGER NOT NULL,
    uses_left     INTEGER NOT NULL CHECK (uses_left >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_by_space ON invite (space_id);

CREATE TABLE channel_group (
    id       INTEGER PRIMARY KEY,
    space_id INTEGER NOT NULL REFERENCES space (id),
    name     TEXT    NOT NULL,
    place    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (space_id, name)
) STRICT;

CREATE TABLE room (
    id             INTEGER PRIMARY KEY REFERENCES stream (id),
    space_id       INTEGER NOT NULL REFERENCES space (id),
    group_id       INTEGER REFERENCES channel_group (id) ON DELETE SET NULL,
    name           TEXT    NOT NULL,
    topic          TEXT    NOT NULL DEFAULT '',
    place          INTEGER NOT NULL DEFAULT 0,
    archived_at_ms INTEGER,
    created_at_ms  INTEGER NOT NULL,
    UNIQUE (space_id, name)
) STRICT;
CREATE INDEX room_by_group ON room (group_id) WHERE group_id IS NOT NULL;

CREATE TABLE message (
    id            INTEGER PRIMARY KEY,
    room_id       INTEGER NOT NULL REFERENCES room (id),
    seq           INTEGER NOT NULL,
    sender_id     INTEGER NOT NULL REFERENCES user (id),
    client_id     TEXT    NOT NULL CHECK (length(client_id) BETWEEN 1 AND 64),
    payload_hash  BLOB    NOT NULL,
    content       TEXT,             -- none once it is deleted
    reply_to_id   INTEGER REFERENCES message (id),
    mentions      TEXT,             -- JSON: ids of users
    created_at_ms INTEGER NOT NULL,
    edited_at_ms  INTEGER,
    deleted_at_ms INTEGER,
    changed_by    INTEGER REFERENCES user (id), -- who edited or deleted it last
    UNIQUE (room_id, seq),
    UNIQUE (sender_id, client_id)   -- for ever: the same send again finds what it made
) STRICT;
CREATE INDEX message_by_answered ON message (reply_to_id) WHERE reply_to_id IS NOT NULL;

CREATE TABLE message_edit (         -- what a message said before
    message_id INTEGER NOT NULL REFERENCES message (id),
    number     INTEGER NOT NULL,
    content    TEXT    NOT NULL,
    until_ms   INTEGER NOT NULL,
    PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE reaction (
    message_id INTEGER NOT NULL REFERENCES message (id),
    emoji      TEXT    NOT NULL CHECK (length(emoji) BETWEEN 1 AND 64),
    user_id    INTEGER NOT NULL REFERENCES user (id),
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (message_id, emoji, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pin (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    room_id    INTEGER NOT NULL REFERENCES room (id),
    user_id    INTEGER NOT NULL REFERENCES user (id), -- who pinned it
    at_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX pin_by_room ON pin (room_id);

CREATE TABLE read_marker (
    user_id INTEGER NOT NULL REFERENCES user (id),
    room_id INTEGER NOT NULL REFERENCES room (id),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE action (               -- every other thing that a user did, with what it was answered, for ever
    user_id      INTEGER NOT NULL REFERENCES user (id),
    client_id    TEXT    NOT NULL CHECK (length(client_id) BETWEEN 1 AND 64),
    kind         TEXT    NOT NULL,
    payload_hash BLOB    NOT NULL,
    result       TEXT    NOT NULL DEFAULT '{}', -- JSON
    at_ms        INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE send_order (           -- how far a device's sends to a room have come, within one session of its queue
    session TEXT    NOT NULL,
    room_id INTEGER NOT NULL REFERENCES room (id),
    user_id INTEGER NOT NULL REFERENCES user (id),
    dev_seq INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (session, room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX send_order_by_age ON send_order (at_ms);

CREATE VIRTUAL TABLE message_text USING fts5 (content, content = 'message', content_rowid = 'id');

CREATE TRIGGER event_numbered AFTER INSERT ON event
BEGIN
    UPDATE stream SET last_seq = NEW.seq WHERE id = NEW.stream_id;
END;

CREATE TRIGGER message_created AFTER INSERT ON message -- by trigger, since sends are what there is most of
BEGIN
    INSERT INTO event (stream_id, seq, kind, actor_id, message_id, at_ms)
    VALUES (NEW.room_id, NEW.seq, 'message.created', NEW.sender_id, NEW.id, NEW.created_at_ms);
    INSERT INTO message_text (rowid, content) VALUES (NEW.id, NEW.content);
END;

CREATE TRIGGER message_text_changed AFTER UPDATE OF content ON message WHEN NEW.content IS NOT OLD.content
BEGIN
    INSERT INTO message_text (message_text, rowid, content) VALUES ('delete', OLD.id, OLD.content);
    INSERT INTO message_text (rowid, content) SELECT NEW.id, NEW.content WHERE NEW.content IS NOT NULL;
    INSERT INTO message_edit (message_id, number, content, until_ms)
    SELECT OLD.id, 1 + (SELECT count(*) FROM message_edit WHERE message_id = OLD.id), OLD.content, NEW.edited_at_ms
    WHERE NEW.content IS NOT NULL;
    DELETE FROM message_edit WHERE message_id = NEW.id AND NEW.content IS NULL;
END;

-- What is sent to clients, as JSON; of a message's event its present state goes along.
CREATE VIEW event_json AS
SELECT event.position, event.stream_id, event.seq, event.kind, event.actor_id,
       json_object('stream', CAST(event.stream_id AS TEXT), 'seq', event.seq, 'kind', event.kind,
                   'actor', CAST(event.actor_id AS TEXT), 'at_ms', event.at_ms, 'body', json(event.body),
                   'message', CASE WHEN message.id IS NOT NULL THEN
                       json_object('id', CAST(message.id AS TEXT), 'seq', message.seq, 'client_id', message.client_id,
                                   'sender', CAST(message.sender_id AS TEXT), 'content', message.content,
                                   'reply_to', CAST(message.reply_to_id AS TEXT), 'mentions', json(message.mentions),
                                   'created_at_ms', message.created_at_ms, 'edited_at_ms', message.edited_at_ms,
                                   'deleted_at_ms', message.deleted_at_ms) END) AS json
FROM event LEFT JOIN message ON message.id = event.message_id;

CREATE VIEW message_json AS
SELECT message.id, message.room_id, message.seq,
       json_object('id', CAST(message.id AS TEXT), 'seq', message.seq, 'client_id', message.client_id,
                   'sender', CAST(message.sender_id AS TEXT), 'sender_name', user.name, 'content', message.content,
                   'reply_to', CAST(message.reply_to_id AS TEXT), 'mentions', json(message.mentions),
                   'created_at_ms', message.created_at_ms, 'edited_at_ms', message.edited_at_ms,
                   'deleted_at_ms', message.deleted_at_ms,
                   'reactions', json((SELECT json_group_array(json_object('emoji', emoji, 'user', CAST(user_id AS TEXT))
                                                              ORDER BY at_ms, user_id)
                                      FROM reaction WHERE message_id = message.id)),
                   'is_pinned', json(iif(EXISTS (SELECT 1 FROM pin WHERE pin.message_id = message.id), 'true', 'false'))) AS json
FROM message JOIN user ON user.id = message.sender_id;
