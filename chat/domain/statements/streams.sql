-- Streams as clients follow them.

-- name: stream_states
-- Of those that the user may see. ?1 streams (JSON: [id, ...]), ?2 user
SELECT stream.id, stream.epoch, stream.last_seq,
       coalesce(room.space_id, iif(stream.kind = 'space', stream.id, 0)) AS space_id
FROM json_each(?1) AS wanted JOIN stream ON stream.id = wanted.value LEFT JOIN room ON room.id = stream.id
WHERE stream.id = ?2
   OR EXISTS (SELECT 1 FROM member WHERE user_id = ?2 AND space_id = coalesce(room.space_id, stream.id));

-- name: missed
-- Events of several streams, if the user may see them. ?1 streams (JSON: [[id, after this seq], ...]), ?2 user, ?3 at most so many
SELECT event_json.stream_id, event_json.seq, event_json.position, event_json.json
FROM json_each(?1) AS wanted
     JOIN event_json ON event_json.stream_id = wanted.value ->> 0 AND event_json.seq > wanted.value ->> 1
WHERE event_json.stream_id = ?2
   OR EXISTS (SELECT 1 FROM member WHERE user_id = ?2 AND space_id = coalesce(
          (SELECT room.space_id FROM room WHERE room.id = event_json.stream_id), event_json.stream_id))
ORDER BY wanted.id, event_json.seq LIMIT ?3;

-- name: reached_at
-- How far streams had come at a position. ?1 streams (JSON: [id, ...]), ?2 the position
SELECT wanted.value,
       coalesce((SELECT seq FROM event WHERE stream_id = wanted.value AND position <= ?2 ORDER BY seq DESC LIMIT 1), 0)
FROM json_each(?1) AS wanted;
