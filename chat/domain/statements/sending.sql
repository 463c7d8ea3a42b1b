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

-- name: sent_before
-- What a send of this client id was answered. ?1 sender, ?2 client id
SELECT payload_hash, id, seq, room_id FROM message WHERE sender_id = ?1 AND client_id = ?2;

-- name: ordered
-- Let a device's send be the next one of its session. ?1 session, ?2 room, ?3 user, ?4 number, ?5 now
INSERT INTO send_order (session, room_id, user_id, dev_seq, at_ms)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE ?4 = 1 + coalesce((SELECT dev_seq FROM send_order WHERE session = ?1 AND room_id = ?2 AND user_id = ?3), 0)
ON CONFLICT (session, room_id, user_id) DO UPDATE SET dev_seq = excluded.dev_seq, at_ms = excluded.at_ms
RETURNING room_id;

-- name: order_reached
-- How far the sends of a session have come. ?1 session, ?2 room, ?3 user
SELECT dev_seq FROM send_order WHERE session = ?1 AND room_id = ?2 AND user_id = ?3;

-- name: forget_orders
-- Forget sessions that ended long ago. ?1 the oldest time to keep
DELETE FROM send_order WHERE at_ms < ?1;
