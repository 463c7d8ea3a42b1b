-- What is done now and then: what nobody can ask for any more goes, some at a time.

-- name: space_to_purge
SELECT id FROM space WHERE deleted_at_ms IS NOT NULL AND purged_at_ms IS NULL ORDER BY id LIMIT 1;

-- name: rooms_to_purge
-- ?1 space
SELECT room.id, stream.last_seq FROM room JOIN stream ON stream.id = room.id WHERE room.space_id = ?1;

-- name: purge_messages
-- Their places stay, and their client ids. ?1 room, ?2 after this seq, ?3 up to this one, ?4 now
UPDATE message SET content = NULL, mentions = NULL, deleted_at_ms = coalesce(deleted_at_ms, ?4)
WHERE room_id = ?1 AND seq > ?2 AND seq <= ?3;

-- name: purge_reactions
-- ?1 room, ?2 after this seq, ?3 up to this one
DELETE FROM reaction WHERE message_id IN (SELECT id FROM message WHERE room_id = ?1 AND seq > ?2 AND seq <= ?3);

-- name: purge_pins
-- ?1 room
DELETE FROM pin WHERE room_id = ?1;

-- name: purged
-- ?1 space, ?2 now
UPDATE space SET purged_at_ms = ?2, settings = '{}' WHERE id = ?1;
