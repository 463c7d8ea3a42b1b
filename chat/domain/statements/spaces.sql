-- Spaces, their members and rooms.

-- name: new_stream
-- ?1 kind, ?2 epoch
INSERT INTO stream (kind, epoch) VALUES (?1, ?2) RETURNING id;

-- name: new_user
-- ?1 id, ?2 name, ?3 display name, ?4 password hash, ?5 server role or NULL, ?6 now
INSERT INTO user (id, name, display_name, password_hash, server_role, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: new_space
-- ?1 id, ?2 kind, ?3 settings (JSON), ?4 whether it is open, ?5 pair or NULL, ?6 now
INSERT INTO space (id, kind, settings, is_open, pair, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: new_room
-- Add a room to a space, if the user may and there are not too many.
-- ?1 id, ?2 space, ?3 user, ?4 the least rank, ?5 name, ?6 topic, ?7 now, ?8 the most rooms
INSERT INTO room (id, space_id, name, topic, place, created_at_ms)
SELECT ?1, ?2, ?5, ?6, (SELECT count(*) FROM room WHERE space_id = ?2), ?7
FROM member WHERE space_id = ?2 AND user_id = ?3 AND rank >= ?4
  AND (SELECT count(*) FROM room WHERE space_id = ?2) < ?8
RETURNING id;

-- name: new_member
-- ?1 space, ?2 user, ?3 rank, ?4 now
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2)
RETURNING space_id;

-- name: join
-- Become a member of an open space. ?1 space, ?2 user, ?3 rank, ?4 now
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT id, ?2, ?3, ?4 FROM space
WHERE id = ?1 AND is_open = 1 AND NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2)
RETURNING space_id;

-- name: leave
-- The last owner stays. ?1 space, ?2 user, ?3 the rank of owners
DELETE FROM member
WHERE space_id = ?1 AND user_id = ?2
  AND (rank < ?3 OR EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id <> ?2 AND rank = ?3))
RETURNING space_id;

-- name: space_standing
-- What decides what a user may do in a space. ?1 space, ?2 user
SELECT space.kind, space.is_open, space.version, member.rank, member.muted_until_ms
FROM space LEFT JOIN member ON member.space_id = space.id AND member.user_id = ?2
WHERE space.id = ?1;

-- name: mute
-- ?1 space, ?2 user, ?3 until
UPDATE member SET muted_until_ms = ?3 WHERE space_id = ?1 AND user_id = ?2 AND muted_until_ms IS NOT ?3 RETURNING space_id;

-- name: archive_room
-- ?1 room, ?2 now
UPDATE room SET archived_at_ms = ?2 WHERE id = ?1 AND archived_at_ms IS NULL RETURNING space_id;
