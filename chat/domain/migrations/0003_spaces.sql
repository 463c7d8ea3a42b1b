-- Spaces beyond what their messages need: how many are in one, who is muted in it, and logs brought in from elsewhere.

ALTER TABLE space ADD COLUMN member_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE space ADD COLUMN deleted_at_ms INTEGER; -- nobody is in it any more
ALTER TABLE space ADD COLUMN purged_at_ms INTEGER;  -- and what was written there is gone
CREATE INDEX space_to_purge ON space (id) WHERE deleted_at_ms IS NOT NULL AND purged_at_ms IS NULL;
UPDATE space SET member_count = (SELECT count(*) FROM member WHERE space_id = space.id);

CREATE TRIGGER member_came AFTER INSERT ON member
BEGIN
    UPDATE space SET member_count = member_count + 1 WHERE id = NEW.space_id;
END;
CREATE TRIGGER member_went AFTER DELETE ON member
BEGIN
    UPDATE space SET member_count = member_count - 1 WHERE id = OLD.space_id;
END;

CREATE TABLE mute (                 -- outlives the membership, so that leaving and joining again does not end it
    space_id INTEGER NOT NULL REFERENCES space (id),
    user_id  INTEGER NOT NULL REFERENCES user (id),
    until_ms INTEGER NOT NULL,      -- as in `member`, where sends look
    muted_by INTEGER NOT NULL REFERENCES user (id),
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (space_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER member_still_muted AFTER INSERT ON member
WHEN EXISTS (SELECT 1 FROM mute WHERE space_id = NEW.space_id AND user_id = NEW.user_id)
BEGIN
    UPDATE member SET muted_until_ms = (SELECT until_ms FROM mute WHERE space_id = NEW.space_id AND user_id = NEW.user_id)
    WHERE space_id = NEW.space_id AND user_id = NEW.user_id;
END;

CREATE TABLE imported_log (         -- which space a log was brought into
    source   TEXT    PRIMARY KEY CHECK (length(source) BETWEEN 1 AND 40),
    space_id INTEGER NOT NULL REFERENCES space (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX imported_log_by_space ON imported_log (space_id);

CREATE TABLE imported_author (      -- who the authors of a log are here; nobody can log in as one
    source  TEXT    NOT NULL,
    author  TEXT    NOT NULL,
    user_id INTEGER NOT NULL REFERENCES user (id),
    PRIMARY KEY (source, author)
) STRICT, WITHOUT ROWID;
CREATE INDEX imported_author_by_user ON imported_author (user_id);

-- The messages of logs by the ids of their lines, for the answers to them: `log:SOURCE:LINE`.
CREATE INDEX message_of_log ON message (client_id, room_id) WHERE client_id GLOB 'log:*';

-- What an import writes to: each line takes the room's next number, unless it was brought in before.
CREATE VIEW imported_line AS
SELECT NULL AS room_id, NULL AS user_id, NULL AS client_id, NULL AS payload_hash, NULL AS at_ms,
       NULL AS content,             -- of a message
       NULL AS answered,            -- the client id of the line that it answers
       NULL AS kind, NULL AS body   -- of what is no message
WHERE false;

CREATE TRIGGER message_imported INSTEAD OF INSERT ON imported_line WHEN NEW.content IS NOT NULL
BEGIN
    INSERT INTO message (room_id, seq, sender_id, client_id, payload_hash, content, reply_to_id, created_at_ms)
    SELECT NEW.room_id, last_seq + 1, NEW.user_id, NEW.client_id, NEW.payload_hash, NEW.content,
           (SELECT id FROM message INDEXED BY message_of_log
            WHERE client_id = NEW.answered AND client_id GLOB 'log:*' AND room_id = NEW.room_id LIMIT 1),
           NEW.at_ms
    FROM stream
    WHERE id = NEW.room_id
      AND NOT EXISTS (SELECT 1 FROM message WHERE sender_id = NEW.user_id AND client_id = NEW.client_id);
END;

CREATE TRIGGER event_imported INSTEAD OF INSERT ON imported_line WHEN NEW.content IS NULL
BEGIN
    INSERT INTO event (stream_id, seq, kind, actor_id, body, at_ms)
    SELECT NEW.room_id, last_seq + 1, NEW.kind, NEW.user_id, NEW.body, NEW.at_ms
    FROM stream
    WHERE id = NEW.room_id
      AND NOT EXISTS (SELECT 1 FROM action WHERE user_id = NEW.user_id AND client_id = NEW.client_id);
    INSERT INTO action (user_id, client_id, kind, payload_hash, at_ms)
    SELECT NEW.user_id, NEW.client_id, NEW.kind, NEW.payload_hash, NEW.at_ms
    WHERE NOT EXISTS (SELECT 1 FROM action WHERE user_id = NEW.user_id AND client_id = NEW.client_id);
END;

CREATE TABLE rank_role (            -- the ranks' names on the wire
    rank INTEGER PRIMARY KEY,
    role TEXT    NOT NULL UNIQUE
) STRICT;
INSERT INTO rank_role (rank, role) VALUES (1, 'member'), (2, 'moderator'), (3, 'admin'), (4, 'owner');

CREATE VIEW room_json AS
SELECT room.id, room.space_id, room.place,
       json_object('id', CAST(room.id AS TEXT), 'space', CAST(room.space_id AS TEXT), 'group', CAST(room.group_id AS TEXT),
                   'name', room.name, 'topic', room.topic, 'place', room.place, 'archived_at_ms', room.archived_at_ms,
                   'epoch', stream.epoch, 'last_seq', stream.last_seq) AS json
FROM room JOIN stream ON stream.id = room.id;
