-- What is done to messages that are there. A message is named by its id, or by its sender's own client id.

-- name: message_named
-- ?1 user, ?2 id or NULL, ?3 client id or NULL
SELECT id, room_id, sender_id, deleted_at_ms FROM message
WHERE id = ?2 OR (sender_id = ?1 AND client_id = ?3) LIMIT 1;

-- name: edit
-- ?1 message, ?2 user, ?3 content, ?4 now, ?5 who is mentioned (JSON) or NULL, ?6 the most versions that are kept
UPDATE message
SET content = ?3, edited_at_ms = ?4, changed_by = ?2,
    mentions = (SELECT nullif(json_group_array(CAST(member.user_id AS TEXT)), '[]')
                FROM json_each(coalesce(?5, '[]')) AS named CROSS JOIN room ON room.id = message.room_id
                     CROSS JOIN member ON member.space_id = room.space_id AND member.user_id = named.value)
WHERE id = ?1 AND sender_id = ?2 AND deleted_at_ms IS NULL AND content IS NOT ?3
  AND (SELECT count(*) FROM message_edit WHERE message_id = ?1) < ?6
  AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
              WHERE room.id = message.room_id AND room.archived_at_ms IS NULL AND muted_until_ms <= ?4)
RETURNING id, room_id;

-- name: delete
-- ?1 message, ?2 user, ?3 the least rank that may delete what others wrote, ?4 now
UPDATE message SET content = NULL, mentions = NULL, deleted_at_ms = ?4, changed_by = ?2
WHERE id = ?1 AND deleted_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
              WHERE room.id = message.room_id AND (message.sender_id = ?2 OR member.rank >= ?3))
RETURNING id, room_id;

-- name: delete_reactions
-- ?1 message
DELETE FROM reaction WHERE message_id = ?1;

-- name: delete_pin
-- ?1 message
DELETE FROM pin WHERE message_id = ?1;

-- name: react
-- ?1 message, ?2 user, ?3 emoji, ?4 now, ?5 the most emoji on a message
INSERT INTO reaction (message_id, emoji, user_id, at_ms)
SELECT message.id, ?3, ?2, ?4
FROM message JOIN room ON room.id = message.room_id
     JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
WHERE message.id = ?1 AND message.deleted_at_ms IS NULL AND room.archived_at_ms IS NULL AND muted_until_ms <= ?4
  AND NOT EXISTS (SELECT 1 FROM reaction WHERE message_id = ?1 AND emoji = ?3 AND user_id = ?2)
  AND (SELECT count(DISTINCT emoji) FROM reaction WHERE message_id = ?1 AND emoji <> ?3) < ?5
RETURNING message_id, (SELECT room_id FROM message WHERE id = ?1) AS room_id;

-- name: unreact
-- ?1 message, ?2 user, ?3 emoji
DELETE FROM reaction
WHERE message_id = ?1 AND emoji = ?3 AND user_id = ?2
  AND EXISTS (SELECT 1 FROM message JOIN room ON room.id = message.room_id
              JOIN member ON member.space_id = room.space_id AND member.user_id = ?2 WHERE message.id = ?1)
RETURNING message_id, (SELECT room_id FROM message WHERE id = ?1) AS room_id;

-- name: pin
-- Of the two of a direct space, both may. ?1 message, ?2 user, ?3 the least rank, ?4 now, ?5 the most pins of a room
INSERT INTO pin (room_id, message_id, user_id, at_ms)
SELECT room.id, message.id, ?2, ?4
FROM message JOIN room ON room.id = message.room_id
     JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
     JOIN space ON space.id = room.space_id
WHERE message.id = ?1 AND message.deleted_at_ms IS NULL AND room.archived_at_ms IS NULL AND muted_until_ms <= ?4
  AND (member.rank >= ?3 OR space.kind = 'direct')
  AND NOT EXISTS (SELECT 1 FROM pin WHERE message_id = ?1)
  AND (SELECT count(*) FROM pin WHERE room_id = room.id) < ?5
RETURNING message_id, room_id;

-- name: unpin
-- ?1 message, ?2 user, ?3 the least rank
DELETE FROM pin
WHERE message_id = ?1
  AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
              JOIN space ON space.id = room.space_id
              WHERE room.id = pin.room_id AND (member.rank >= ?3 OR space.kind = 'direct'))
RETURNING message_id, room_id;

-- name: has_reaction
-- ?1 message, ?2 emoji, ?3 user
SELECT 1 FROM reaction WHERE message_id = ?1 AND emoji = ?2 AND user_id = ?3;

-- name: edit_count
-- ?1 message
SELECT count(*) FROM message_edit WHERE message_id = ?1;

-- name: emoji_count
-- Of the other ones on a message. ?1 message, ?2 emoji
SELECT count(DISTINCT emoji) FROM reaction WHERE message_id = ?1 AND emoji <> ?2;

-- name: pin_count
-- Of the room of a message. ?1 message
SELECT count(*) FROM pin WHERE room_id = (SELECT room_id FROM message WHERE id = ?1);

-- name: content
-- ?1 message
SELECT content FROM message WHERE id = ?1;

-- name: is_pinned
-- ?1 message
SELECT 1 FROM pin WHERE message_id = ?1;
