-- What every action but a send shares: it is written down with its answer, for ever.

-- name: record
-- ?1 user, ?2 client id, ?3 kind, ?4 hash of the payload, ?5 answer (JSON), ?6 now
INSERT INTO action (user_id, client_id, kind, payload_hash, result, at_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE NOT EXISTS (SELECT 1 FROM message WHERE sender_id = ?1 AND client_id = ?2)
RETURNING user_id;

-- name: recorded
-- What the client id was answered, whatever it was. ?1 user, ?2 client id
SELECT kind, payload_hash, result FROM action WHERE user_id = ?1 AND client_id = ?2
UNION ALL
SELECT 'send-message', payload_hash,
       json_object('client_id', client_id, 'seq', seq, 'id', CAST(id AS TEXT), 'room_id', CAST(room_id AS TEXT))
FROM message WHERE sender_id = ?1 AND client_id = ?2
LIMIT 1;

-- name: tell
-- Put an event into a stream. ?1 stream, ?2 kind, ?3 actor, ?4 message or NULL, ?5 body or NULL, ?6 now
INSERT INTO event (stream_id, seq, kind, actor_id, message_id, body, at_ms)
SELECT id, last_seq + 1, ?2, ?3, ?4, ?5, ?6 FROM stream WHERE id = ?1
RETURNING seq;

-- name: tell_of
-- The same, of something that was just made: its id is put into the body.
-- ?1 stream, ?2 kind, ?3 actor, ?4 what it is called in the body, ?5 body, ?6 now, ?7 id
INSERT INTO event (stream_id, seq, kind, actor_id, body, at_ms)
SELECT id, last_seq + 1, ?2, ?3, json_set(?5, '$.' || ?4, CAST(?7 AS TEXT)), ?6 FROM stream WHERE id = ?1
RETURNING seq;

-- name: note_id
-- Put the id of what an action made into its answer. ?1 user, ?2 client id, ?3 what it is called there, ?4 id
UPDATE action SET result = json_set(result, '$.' || ?3, CAST(?4 AS TEXT)) WHERE user_id = ?1 AND client_id = ?2;

-- name: note_number
-- Put a number into the answer of an action. ?1 user, ?2 client id, ?3 what it is called there, ?4 number
UPDATE action SET result = json_set(result, '$.' || ?3, ?4) WHERE user_id = ?1 AND client_id = ?2;
