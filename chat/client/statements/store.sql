-- A client's store.

-- name: login
SELECT user_id, name, access_token, refresh_token FROM login;

-- name: save_login
-- ?1 user, ?2 name, ?3 access token, ?4 refresh token
INSERT INTO login (id, user_id, name, access_token, refresh_token) VALUES (1, ?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, name = excluded.name,
    access_token = excluded.access_token, refresh_token = excluded.refresh_token;

-- name: streams
SELECT id, epoch, seq FROM stream;

-- name: save_stream
-- ?1 stream, ?2 epoch, ?3 seq
INSERT INTO stream (id, epoch, seq) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq;

-- name: forget_stream
-- ?1 stream
DELETE FROM stream WHERE id = ?1;

-- name: save_events
-- ?1 stream, ?2 events (JSON)
INSERT OR REPLACE INTO event (stream, seq, json) SELECT ?1, value ->> '$.seq', value FROM json_each(?2);

-- name: prune_events
-- ?1 stream, ?2 the last seq that may go
DELETE FROM event WHERE stream = ?1 AND seq <= ?2;

-- name: forget_events
-- ?1 stream
DELETE FROM event WHERE stream = ?1;

-- name: events
-- ?1 stream, ?2 after this seq, ?3 at most so many
SELECT json FROM event WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3;

-- name: rooms
SELECT view FROM room ORDER BY space, id;

-- name: save_rooms
-- ?1 rooms (JSON)
INSERT OR REPLACE INTO room (id, space, view)
SELECT value ->> '$.id', value ->> '$.space', value FROM json_each(?1);

-- name: forget_other_rooms
-- ?1 ids of the rooms that there are (JSON)
DELETE FROM room WHERE id NOT IN (SELECT value FROM json_each(?1));

-- name: spaces
SELECT view FROM space ORDER BY id;

-- name: space
-- ?1 space
SELECT view FROM space WHERE id = ?1;

-- name: save_space
-- ?1 space, ?2 view (JSON)
INSERT OR REPLACE INTO space (id, view) VALUES (?1, ?2);

-- name: messages
-- The last ones before a seq, in order. ?1 room, ?2 before this seq, ?3 at most so many
SELECT view FROM (SELECT seq, view FROM message WHERE room = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3) ORDER BY seq;

-- name: message
-- By its id, or its sender's client id. ?1 room, ?2 id or client id, ?3 user
SELECT view FROM message WHERE room = ?1 AND (id = ?2 OR (client_id = ?2 AND sender = ?3)) LIMIT 1;

-- name: messages_of
-- ?1 room, ?2 ids (JSON)
SELECT view FROM message WHERE id IN (SELECT value FROM json_each(?2)) AND room = ?1;

-- name: save_messages
-- ?1 room, ?2 messages (JSON)
INSERT OR REPLACE INTO message (room, seq, id, client_id, sender, view)
SELECT ?1, value ->> '$.seq', value ->> '$.id', value ->> '$.client_id', value ->> '$.sender', value FROM json_each(?2);

-- name: forget_messages
-- ?1 room, ?2 the last seq that goes
DELETE FROM message WHERE room = ?1 AND seq <= ?2;

-- name: document
-- ?1 name
SELECT mine, base, version FROM document WHERE name = ?1;

-- name: save_document
-- ?1 name, ?2 mine, ?3 base, ?4 version
INSERT OR REPLACE INTO document (name, mine, base, version) VALUES (?1, ?2, ?3, ?4);

-- name: number
-- ?1 name
SELECT value FROM number WHERE name = ?1;

-- name: save_number
-- ?1 name, ?2 value
INSERT OR REPLACE INTO number (name, value) VALUES (?1, ?2);
