-- Logs from elsewhere, brought into rooms of a space of their own: many lines by one statement.
--
-- A line has its place among the lines that are brought in together, and its number in its log, which makes its client id.
-- A message's id is the last one before plus its place; so is the position of a line's event.

-- name: imported_log
-- ?1 source
SELECT space_id, deleted_at_ms FROM imported_log JOIN space ON space.id = space_id WHERE source = ?1;

-- name: new_log
-- ?1 source, ?2 space
INSERT INTO imported_log (source, space_id) VALUES (?1, ?2);

-- name: last_stream
SELECT max(id) AS id FROM stream;

-- name: import_user_streams
-- Of the authors that are not known yet. ?1 the last id, ?2 source, ?3 authors (JSON: author, name)
INSERT INTO stream (id, kind, epoch)
SELECT ?1 + row_number() OVER (ORDER BY key), 'user', lower(hex(randomblob(8)))
FROM jsonb_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_users
-- The same authors, in the same order: nobody has that password. ?4 now
INSERT INTO user (id, name, display_name, password_hash, created_at_ms)
SELECT ?1 + row_number() OVER (ORDER BY key), given.value ->> 1, given.value ->> 0, '!', ?4
FROM jsonb_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_authors
-- And who they are from now on. ?1 the last id before them, ?2 source, ?3 authors
INSERT INTO imported_author (source, author, user_id)
SELECT ?2, given.value ->> 0, ?1 + row_number() OVER (ORDER BY key)
FROM jsonb_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_members
-- ?1 space, ?2 source, ?3 authors, ?4 now
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT ?1, user_id, 1, ?4
FROM jsonb_each(?3) AS given CROSS JOIN imported_author ON source = ?2 AND author = given.value ->> 0
WHERE NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND member.user_id = imported_author.user_id);

-- name: import_room_streams
-- Of the rooms that are not there yet. ?1 the last id, ?2 space, ?3 names (JSON)
INSERT INTO stream (id, kind, epoch)
SELECT ?1 + row_number() OVER (ORDER BY key), 'room', lower(hex(randomblob(8)))
FROM jsonb_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM room WHERE space_id = ?2 AND name = given.value);

-- name: import_rooms
-- The same rooms, in the same order. ?4 now
INSERT INTO room (id, space_id, name, place, created_at_ms)
SELECT ?1 + row_number() OVER (ORDER BY key), ?2, given.value, row_number() OVER (ORDER BY key), ?4
FROM jsonb_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM room WHERE space_id = ?2 AND name = given.value);

-- name: known_lines
-- Which of them were brought in before. ?1 source, ?2 lines (JSON: [client id, author])
SELECT line.key
FROM jsonb_each(?2) AS line CROSS JOIN imported_author ON source = ?1 AND author = line.value ->> 1
WHERE EXISTS (SELECT 1 FROM message WHERE sender_id = user_id AND client_id = line.value ->> 0)
   OR EXISTS (SELECT 1 FROM action WHERE action.user_id = imported_author.user_id AND client_id = line.value ->> 0);

-- name: import_begins
-- From here to `import_ended` triggers leave messages and events alone. ?1 source
INSERT INTO importing (source) VALUES (?1);

-- name: last_lines
-- After what the lines come.
SELECT (SELECT coalesce(max(id), 0) FROM message) AS id, (SELECT coalesce(max(position), 0) FROM event) AS position;

-- name: import_messages
-- ?1 space, ?2 source, ?3 the last id before them,
-- ?4 messages (JSON: [place, number, room, author, time, hash, which of its room's lines, text, number answered, its place if it is one of these])
INSERT INTO message (id, room_id, seq, sender_id, client_id, payload_hash, content, reply_to_id, created_at_ms)
SELECT ?3 + (line.value ->> 0), room.id, stream.last_seq + (line.value ->> 6), imported_author.user_id,
       'log:' || ?2 || ':' || (line.value ->> 1), unhex(line.value ->> 5), line.value ->> 7,
       CASE WHEN line.value ->> 8 IS NOT NULL THEN
           coalesce((SELECT id FROM message INDEXED BY message_of_log
                     WHERE client_id = 'log:' || ?2 || ':' || (line.value ->> 8) AND client_id GLOB 'log:*'
                       AND room_id = room.id LIMIT 1),
                    ?3 + (line.value ->> 9)) END,
       line.value ->> 4
FROM jsonb_each(?4) AS line
     CROSS JOIN room ON room.space_id = ?1 AND room.name = line.value ->> 2
     CROSS JOIN stream ON stream.id = room.id
     CROSS JOIN imported_author ON imported_author.source = ?2 AND imported_author.author = line.value ->> 3;

-- name: import_actions
-- Of who came, went or is called otherwise. ?1 source, ?2 happenings (JSON: [place, number, room, author, time, hash, which of its room's lines, text, kind])
INSERT INTO action (user_id, client_id, kind, payload_hash, at_ms)
SELECT user_id, 'log:' || ?1 || ':e' || (line.value ->> 1), line.value ->> 8, unhex(line.value ->> 5), line.value ->> 4
FROM jsonb_each(?2) AS line CROSS JOIN imported_author ON source = ?1 AND author = line.value ->> 3;

-- name: import_happenings
-- The same, where they happened. ?1 space, ?2 source, ?3 happenings, ?4 the last position before
INSERT INTO event (position, stream_id, seq, kind, actor_id, body, at_ms)
SELECT ?4 + (line.value ->> 0), room.id, stream.last_seq + (line.value ->> 6), line.value ->> 8, imported_author.user_id,
       json_object('user', CAST(imported_author.user_id AS TEXT), 'text', line.value ->> 7), line.value ->> 4
FROM jsonb_each(?3) AS line
     CROSS JOIN room ON room.space_id = ?1 AND room.name = line.value ->> 2
     CROSS JOIN stream ON stream.id = room.id
     CROSS JOIN imported_author ON imported_author.source = ?2 AND imported_author.author = line.value ->> 3;

-- name: import_told
-- Of the messages. ?1 the last id before them, ?2 the last position before
INSERT INTO event (position, stream_id, seq, kind, actor_id, message_id, at_ms)
SELECT ?2 + id - ?1, room_id, seq, 'message.created', sender_id, id, created_at_ms FROM message WHERE id > ?1;

-- name: import_texts
-- Have the messages found. ?1 the last id before them
INSERT INTO message_text (rowid, content) SELECT id, content FROM message WHERE id > ?1;

-- name: import_numbered
-- How far the rooms are now. ?1 space, ?2 how many lines came (JSON: [room, count])
UPDATE stream
SET last_seq = last_seq + (SELECT given.value ->> 1 FROM jsonb_each(?2) AS given CROSS JOIN room ON room.id = stream.id
                           WHERE given.value ->> 0 = room.name)
WHERE id IN (SELECT room.id FROM jsonb_each(?2) AS given CROSS JOIN room ON room.space_id = ?1 AND room.name = given.value ->> 0);

-- name: import_ended
DELETE FROM importing;
