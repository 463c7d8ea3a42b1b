-- Who is in a space, as what, and who may not write there.

-- name: new_member
-- ?1 space, ?2 user, ?3 rank, ?4 now
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2)
RETURNING space_id;

-- name: join
-- Become a member of an open space. ?1 space, ?2 user, ?3 rank, ?4 now, ?5 the most members, ?6 the most spaces of a user
INSERT INTO member (space_id, user_id, rank, joined_at_ms)
SELECT id, ?2, ?3, ?4 FROM space
WHERE id = ?1 AND is_open = 1 AND member_count < ?5
  AND (SELECT count(*) FROM member WHERE user_id = ?2) < ?6
  AND NOT EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2)
RETURNING space_id;

-- name: leave
-- The last owner stays, and so do the two of a direct space. ?1 space, ?2 user, ?3 the rank of owners
DELETE FROM member
WHERE space_id = ?1 AND user_id = ?2 AND EXISTS (SELECT 1 FROM space WHERE id = ?1 AND kind = 'space')
  AND (rank < ?3 OR EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id <> ?2 AND rank = ?3))
RETURNING space_id;

-- name: kick
-- Those below only. ?1 space, ?2 user who does it, ?3 the least rank, ?4 user
DELETE FROM member
WHERE space_id = ?1 AND user_id = ?4
  AND rank < (SELECT rank FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING space_id;

-- name: mute
-- Those below only. ?1 space, ?2 user who does it, ?3 the least rank, ?4 user, ?5 until
UPDATE member SET muted_until_ms = ?5
WHERE space_id = ?1 AND user_id = ?4 AND muted_until_ms <> ?5
  AND rank < (SELECT rank FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING space_id;

-- name: note_mute
-- ?1 space, ?2 user who did it, ?3 user, ?4 until, ?5 now
INSERT INTO mute (space_id, user_id, until_ms, muted_by, at_ms) VALUES (?1, ?3, ?4, ?2, ?5)
ON CONFLICT (space_id, user_id) DO UPDATE SET until_ms = excluded.until_ms, muted_by = excluded.muted_by, at_ms = excluded.at_ms;

-- name: unmute
-- Those below only; also those who have left meanwhile. ?1 space, ?2 user who does it, ?3 the least rank, ?4 user
DELETE FROM mute
WHERE space_id = ?1 AND user_id = ?4
  AND coalesce((SELECT rank FROM member WHERE space_id = ?1 AND user_id = ?4), 0)
      < (SELECT rank FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING space_id;

-- name: let_write
-- ?1 space, ?2 user
UPDATE member SET muted_until_ms = 0 WHERE space_id = ?1 AND user_id = ?2;

-- name: change_role
-- An owner gives any role, others give those below their own to those below; one owner stays.
-- ?1 space, ?2 user who does it, ?3 the least rank, ?4 user, ?5 rank, ?6 the rank of owners
UPDATE member SET rank = ?5
WHERE space_id = ?1 AND user_id = ?4 AND rank <> ?5
  AND EXISTS (SELECT 1 FROM space WHERE id = ?1 AND kind = 'space')
  AND EXISTS (SELECT 1 FROM member AS giver
              WHERE giver.space_id = ?1 AND giver.user_id = ?2 AND giver.rank >= ?3
                AND (giver.rank = ?6 OR (giver.rank > member.rank AND giver.rank > ?5)))
  AND (rank < ?6 OR EXISTS (SELECT 1 FROM member AS other
                            WHERE other.space_id = ?1 AND other.user_id <> ?4 AND other.rank = ?6))
RETURNING space_id;

-- name: other_owner
-- Whether there is one besides a user. ?1 space, ?2 user, ?3 the rank of owners
SELECT 1 FROM member WHERE space_id = ?1 AND user_id <> ?2 AND rank = ?3;

-- name: members
-- ?1 space, ?2 user who asks, ?3 after this user, ?4 at most so many
SELECT json_object('members', json_group_array(json(json) ORDER BY user_id))
FROM (SELECT member.user_id,
             json_object('user', CAST(member.user_id AS TEXT), 'name', user.name, 'display_name', user.display_name,
                         'role', rank_role.role, 'joined_at_ms', member.joined_at_ms,
                         'muted_until_ms', member.muted_until_ms) AS json
      FROM member JOIN user ON user.id = member.user_id JOIN rank_role ON rank_role.rank = member.rank
      WHERE member.space_id = ?1 AND member.user_id > ?3
        AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2)
      ORDER BY member.user_id LIMIT ?4);

-- name: muted
-- Whoever is, members or not. ?1 space, ?2 user who asks, ?3 the least rank, ?4 now, ?5 after this user, ?6 at most so many
SELECT json_object('muted', json_group_array(json(json) ORDER BY user_id))
FROM (SELECT mute.user_id,
             json_object('user', CAST(mute.user_id AS TEXT), 'name', user.name, 'until_ms', mute.until_ms,
                         'muted_by', CAST(mute.muted_by AS TEXT), 'at_ms', mute.at_ms) AS json
      FROM mute JOIN user ON user.id = mute.user_id
      WHERE mute.space_id = ?1 AND mute.user_id > ?5 AND mute.until_ms > ?4
        AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
      ORDER BY mute.user_id LIMIT ?6);
