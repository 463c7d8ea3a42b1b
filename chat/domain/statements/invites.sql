-- Links that let somebody in; only the hash of a link's secret is kept, and names it.

-- name: new_invite
-- Of a space that has not too many. ?1 hash, ?2 space, ?3 user, ?4 the least rank, ?5 expires at, ?6 uses, ?7 the most links
INSERT INTO invite (hash, space_id, made_by, expires_at_ms, uses_left)
SELECT ?1, space.id, ?3, ?5, ?6
FROM space JOIN member ON member.space_id = space.id AND member.user_id = ?3
WHERE space.id = ?2 AND space.kind = 'space' AND member.rank >= ?4
  AND (SELECT count(*) FROM invite WHERE space_id = ?2) < ?7
RETURNING space_id;

-- name: forget_invites
-- Those of a space that let nobody in any more. ?1 space, ?2 now
DELETE FROM invite WHERE space_id = ?1 AND (expires_at_ms <= ?2 OR uses_left = 0);

-- name: invite
-- ?1 hash
SELECT space_id, expires_at_ms, uses_left FROM invite WHERE hash = ?1;

-- name: invite_count
-- ?1 space
SELECT count(*) FROM invite WHERE space_id = ?1;

-- name: use_invite
-- Take one of its uses, unless the user is in already, or the space is full.
-- ?1 hash, ?2 user, ?3 now, ?4 the most members, ?5 the most spaces of a user
UPDATE invite SET uses_left = uses_left - 1
WHERE hash = ?1 AND uses_left > 0 AND expires_at_ms > ?3
  AND (SELECT member_count FROM space WHERE id = invite.space_id) < ?4
  AND (SELECT count(*) FROM member WHERE user_id = ?2) < ?5
  AND NOT EXISTS (SELECT 1 FROM member WHERE space_id = invite.space_id AND user_id = ?2)
RETURNING space_id;

-- name: delete_invite
-- One's own, or anybody's. ?1 space, ?2 user, ?3 the least rank for others', ?4 hash
DELETE FROM invite
WHERE hash = ?4 AND space_id = ?1
  AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2 AND (invite.made_by = ?2 OR rank >= ?3))
RETURNING space_id;

-- name: invites
-- One's own, or everybody's. ?1 space, ?2 user, ?3 the least rank for others', ?4 now
SELECT json_object('invites', json_group_array(json_object(
           'id', lower(hex(hash)), 'made_by', CAST(made_by AS TEXT), 'expires_at_ms', expires_at_ms, 'uses_left', uses_left)
           ORDER BY expires_at_ms, hash))
FROM invite JOIN member ON member.space_id = invite.space_id AND member.user_id = ?2
WHERE invite.space_id = ?1 AND (made_by = ?2 OR member.rank >= ?3) AND uses_left > 0 AND expires_at_ms > ?4;
