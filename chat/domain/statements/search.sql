-- Words in messages of the rooms that a user may read. A hit's words stand between U+E000 and U+E001, which no text has.

-- name: search_best
-- The best of the newest matches. ?1 query, ?2 user, ?3 room or NULL, ?4 space or NULL, ?5 sender or NULL, ?6 skip so many,
-- ?7 at most so many, ?8 how many of the newest are compared
WITH candidate AS MATERIALIZED (
    SELECT message_text.rowid AS id, message_text.rank AS score
    FROM message_text JOIN message ON message.id = message_text.rowid JOIN room ON room.id = message.room_id
         JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
    WHERE message_text MATCH ?1 AND (?3 IS NULL OR room.id = ?3) AND (?4 IS NULL OR room.space_id = ?4)
      AND (?5 IS NULL OR message.sender_id = ?5)
    ORDER BY message_text.rowid DESC LIMIT ?8
), hit AS MATERIALIZED (
    SELECT id, score FROM candidate ORDER BY score, id DESC LIMIT ?7 OFFSET ?6
)
SELECT json_object('hits', json_group_array(json_object(
           'message', json(message_json.json), 'room', CAST(message_json.room_id AS TEXT), 'score', -hit.score,
           'snippet', (SELECT snippet(message_text, 0, char(0xE000), char(0xE001), '…', 24)
                       FROM message_text WHERE message_text MATCH ?1 AND message_text.rowid = hit.id))
           ORDER BY hit.score, hit.id DESC))
FROM hit JOIN message_json ON message_json.id = hit.id;

-- name: search_newest
-- ?1 query, ?2 user, ?3 room or NULL, ?4 space or NULL, ?5 sender or NULL, ?6 older than this message, ?7 at most so many
WITH hit AS MATERIALIZED (
    SELECT message_text.rowid AS id, snippet(message_text, 0, char(0xE000), char(0xE001), '…', 24) AS snippet
    FROM message_text JOIN message ON message.id = message_text.rowid JOIN room ON room.id = message.room_id
         JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
    WHERE message_text MATCH ?1 AND message_text.rowid < ?6
      AND (?3 IS NULL OR room.id = ?3) AND (?4 IS NULL OR room.space_id = ?4) AND (?5 IS NULL OR message.sender_id = ?5)
    ORDER BY message_text.rowid DESC LIMIT ?7
)
SELECT json_object('hits', json_group_array(json_object(
           'message', json(message_json.json), 'room', CAST(message_json.room_id AS TEXT), 'snippet', hit.snippet)
           ORDER BY hit.id DESC))
FROM hit JOIN message_json ON message_json.id = hit.id;
