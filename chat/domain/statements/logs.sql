-- Logs from elsewhere, brought into rooms of a space of their own: many lines by one statement.

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
FROM json_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_users
-- The same authors, in the same order: nobody has that password. ?4 now
INSERT INTO user (id, name, display_name, password_hash, created_at_ms)
SELECT ?1 + row_number() OVER (ORDER BY key), given.value ->> 1, given.value ->> 0, '!', ?4
FROM json_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_authors
-- And who they are from now on. ?1 the last id before them, ?2 source, ?3 authors
INSERT INTO imported_author (source, author, user_id)
SELECT ?2, given.value ->> 0, ?1 + row_number() OVER (ORDER BY key)
FROM json_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM imported_author WHERE source = ?2 AND author = given.value ->> 0);

-- name: import_members
-- ?1 space, ?2 source, ?3 authors, ?4 now
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT ?1, user_id, 1, ?4
FROM json_each(?3) AS given CROSS JOIN imported_author ON source = ?2 AND author = given.value ->> 0
WHERE NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND member.user_id = imported_author.user_id);

-- name: import_room_streams
-- Of the rooms that are not there yet. ?1 the last id, ?2 space, ?3 names (JSON)
INSERT INTO stream (id, kind, epoch)
SELECT ?1 + row_number() OVER (ORDER BY key), 'room', lower(hex(randomblob(8)))
FROM json_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM room WHERE space_id = ?2 AND name = given.value);

-- name: import_rooms
-- The same rooms, in the same order. ?4 now
INSERT INTO room (id, space_id, name, place, created_at_ms)
SELECT ?1 + row_number() OVER (ORDER BY key), ?2, given.value, row_number() OVER (ORDER BY key), ?4
FROM json_each(?3) AS given
WHERE NOT EXISTS (SELECT 1 FROM room WHERE space_id = ?2 AND name = given.value);

-- name: import_lines
-- In their order. ?1 space, ?2 source, ?3 lines (JSON: client id, room, author, time, hash, text, answered, kind, more)
INSERT INTO imported_line (room_id, user_id, client_id, payload_hash, at_ms, content, answered, kind, body)
SELECT room.id, imported_author.user_id, line.value ->> 0, unhex(line.value ->> 4), line.value ->> 3,
       line.value ->> 5, line.value ->> 6, line.value ->> 7,
       json_object('user', CAST(imported_author.user_id AS TEXT), 'text', line.value ->> 8)
FROM json_each(?3) AS line
     CROSS JOIN room ON room.space_id = ?1 AND room.name = line.value ->> 1
     CROSS JOIN imported_author ON imported_author.source = ?2 AND imported_author.author = line.value ->> 2
ORDER BY line.key;

-- name: log_length
-- How many events the rooms of a space have. ?1 space
SELECT coalesce(sum(stream.last_seq), 0) AS event_count FROM room JOIN stream ON stream.id = room.id WHERE room.space_id = ?1;
