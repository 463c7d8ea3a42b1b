-- Messages on their way in. Every statement tests by itself whether the user may do this now.

-- name: send
-- Add a message, if its sender may write in the room.
-- ?1 room, ?2 sender, ?3 client id, ?4 hash of the payload, ?5 content, ?6 answered message or NULL,
-- ?7 who is mentioned (JSON) or NULL: kept are those who are members, ?8 now
INSERT INTO message (room_id, seq, sender_id, client_id, payload_hash, content, reply_to_id, mentions, created_at_ms)
SELECT room.id, stream.last_seq + 1, ?2, ?3, ?4, ?5, ?6,
       CASE WHEN ?7 IS NOT NULL THEN
           (SELECT nullif(json_group_array(CAST(named_member.user_id AS TEXT)), '[]')
            FROM json_each(?7) AS named
                 CROSS JOIN member AS named_member ON named_member.space_id = room.space_id AND named_member.user_id = named.value) END,
       ?8
FROM room JOIN stream ON stream.id = room.id
     JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
WHERE room.id = ?1 AND room.archived_at_ms IS NULL AND member.muted_until_ms <= ?8
  AND (?6 IS NULL OR EXISTS (SELECT 1 FROM message WHERE id = ?6 AND room_id = ?1))
  AND NOT EXISTS (SELECT 1 FROM action WHERE user_id = ?2 AND client_id = ?3)
RETURNING id, seq;

-- name: send_together
-- Add messages as `send` does, each if its sender may write in its room, and it is not there already. No two have the
-- same sender and client id; one that has a number is added once its number was taken.
-- ?1 JSON: [[room, sender, client id, hash of the payload (hex), content, answered message or null,
--            who is mentioned (JSON) or null, session and number if it has them], ...], ?2 now
INSERT INTO message (room_id, seq, sender_id, client_id, payload_hash, content, reply_to_id, mentions, created_at_ms)
SELECT room.id, stream.last_seq + row_number() OVER (PARTITION BY room.id ORDER BY asked.place),
       asked.sender_id, asked.client_id, unhex(asked.payload_hash), asked.content, asked.reply_to_id,
       CASE WHEN asked.named IS NOT NULL THEN
           (SELECT nullif(json_group_array(CAST(named_member.user_id AS TEXT)), '[]')
            FROM json_each(asked.named) AS named
                 CROSS JOIN member AS named_member ON named_member.space_id = room.space_id AND named_member.user_id = named.value) END,
       ?2
FROM (SELECT key AS place, value ->> 0 AS room_id, value ->> 1 AS sender_id, value ->> 2 AS client_id,
             value ->> 3 AS payload_hash, value ->> 4 AS content, value ->> 5 AS reply_to_id, value ->> 6 AS named,
             value ->> 7 AS session, value ->> 8 AS dev_seq
      FROM json_each(?1)) AS asked
     CROSS JOIN room ON room.id = asked.room_id CROSS JOIN stream ON stream.id = room.id
     CROSS JOIN member ON member.space_id = room.space_id AND member.user_id = asked.sender_id
WHERE room.archived_at_ms IS NULL AND member.muted_until_ms <= ?2
  AND (asked.reply_to_id IS NULL
       OR EXISTS (SELECT 1 FROM message AS answered WHERE answered.id = asked.reply_to_id AND answered.room_id = room.id))
  AND NOT EXISTS (SELECT 1 FROM action WHERE action.user_id = asked.sender_id AND action.client_id = asked.client_id)
  AND NOT EXISTS (SELECT 1 FROM message AS earlier
                  WHERE earlier.sender_id = asked.sender_id AND earlier.client_id = asked.client_id)
  AND (asked.session IS NULL
       OR asked.dev_seq <= (SELECT send_order.dev_seq FROM send_order
                            WHERE send_order.session = asked.session AND send_order.room_id = room.id
                              AND send_order.user_id = asked.sender_id))
ORDER BY asked.place
RETURNING id, seq, sender_id, client_id;

-- name: ordered
-- Let a device's send be the next one of its session. ?1 session, ?2 room, ?3 user, ?4 number, ?5 now
INSERT INTO send_order (session, room_id, user_id, dev_seq, at_ms)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE ?4 = 1 + coalesce((SELECT dev_seq FROM send_order WHERE session = ?1 AND room_id = ?2 AND user_id = ?3), 0)
ON CONFLICT (session, room_id, user_id) DO UPDATE SET dev_seq = excluded.dev_seq, at_ms = excluded.at_ms
RETURNING room_id;

-- name: order_together
-- Let runs of a device's sends be the next ones of their sessions. ?1 JSON: [[session, room, user, first number, last], ...], ?2 now
INSERT INTO send_order (session, room_id, user_id, dev_seq, at_ms)
SELECT asked.session, room.id, asked.user_id, asked.last, ?2
FROM (SELECT value ->> 0 AS session, value ->> 1 AS room_id, value ->> 2 AS user_id, value ->> 3 AS first, value ->> 4 AS last
      FROM json_each(?1)) AS asked
     CROSS JOIN room ON room.id = asked.room_id
WHERE asked.first = 1 + coalesce((SELECT earlier.dev_seq FROM send_order AS earlier
                                  WHERE earlier.session = asked.session AND earlier.room_id = room.id
                                    AND earlier.user_id = asked.user_id), 0)
ON CONFLICT (session, room_id, user_id) DO UPDATE SET dev_seq = excluded.dev_seq, at_ms = excluded.at_ms
RETURNING session, room_id, user_id;

-- name: order_reached
-- How far the sends of a session have come. ?1 session, ?2 room, ?3 user
SELECT dev_seq FROM send_order WHERE session = ?1 AND room_id = ?2 AND user_id = ?3;

-- name: forget_orders
-- Forget sessions that ended long ago. ?1 the oldest time to keep
DELETE FROM send_order WHERE at_ms < ?1;
