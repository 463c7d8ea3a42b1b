-- Spaces: made, described, told of, taken away. A direct space is one of two users: nobody comes or goes.

-- name: new_stream
-- ?1 kind, ?2 epoch
INSERT INTO stream (kind, epoch) VALUES (?1, ?2) RETURNING id;

-- name: new_user
-- ?1 id, ?2 name, ?3 display name, ?4 password hash, ?5 server role or NULL, ?6 now
INSERT INTO user (id, name, display_name, password_hash, server_role, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: new_space
-- ?1 id, ?2 kind, ?3 settings (JSON), ?4 whether it is open, ?5 pair or NULL, ?6 now
INSERT INTO space (id, kind, settings, is_open, pair, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: new_space_of
-- The same, for a user who is not in too many. ?1 id, ?2 kind, ?3 settings (JSON), ?4 whether it is open, ?5 pair or NULL, ?6 now,
-- ?7 user, ?8 the most spaces of a user
INSERT INTO space (id, kind, settings, is_open, pair, created_at_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM member WHERE user_id = ?7) < ?8
RETURNING id;

-- name: space_standing
-- What decides what a user may do in a space. ?1 space, ?2 user
SELECT space.kind, space.is_open, space.version, member.rank, member.muted_until_ms, space.member_count
FROM space LEFT JOIN member ON member.space_id = space.id AND member.user_id = ?2
WHERE space.id = ?1;

-- name: space_count
-- ?1 user
SELECT count(*) FROM member WHERE user_id = ?1;

-- name: update_space
-- Merge fields into the settings (RFC 7396), if they are those that the user knows.
-- ?1 space, ?2 user, ?3 the least rank, ?4 fields (JSON), ?5 version or NULL, ?6 the most bytes
UPDATE space SET settings = json_patch(settings, ?4), version = version + 1
WHERE id = ?1 AND kind = 'space' AND version = coalesce(?5, version) AND octet_length(json_patch(settings, ?4)) <= ?6
  AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING id, version;

-- name: tell_space_updated
-- ?1 space, ?2 actor, ?3 what changed (JSON), ?4 now, ?5 version
INSERT INTO event (stream_id, seq, kind, actor_id, body, at_ms)
SELECT id, last_seq + 1, 'space.updated', ?2, json_set(?3, '$.version', ?5), ?4 FROM stream WHERE id = ?1
RETURNING seq;

-- name: space_settings
-- What there is to merge with, since when, and how long it would become. ?1 space, ?2 user, ?3 fields (JSON)
SELECT version, settings, octet_length(json_patch(settings, ?3)),
  coalesce((SELECT at_ms FROM event WHERE stream_id = ?1 AND kind = 'space.updated' ORDER BY seq DESC LIMIT 1), 0)
FROM space
WHERE id = ?1 AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2);

-- name: open_space
-- ?1 space, ?2 user, ?3 the least rank, ?4 whether it is open
UPDATE space SET is_open = ?4
WHERE id = ?1 AND is_open <> ?4 AND kind = 'space'
  AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING id;

-- name: delete_space
-- ?1 space, ?2 user, ?3 the rank of owners, ?4 now
UPDATE space SET deleted_at_ms = ?4, is_open = 0
WHERE id = ?1 AND kind = 'space' AND deleted_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3)
RETURNING id;

-- name: delete_members
-- ?1 space
DELETE FROM member WHERE space_id = ?1;

-- name: delete_invites
-- ?1 space
DELETE FROM invite WHERE space_id = ?1;

-- name: space
-- ?1 space, ?2 user
SELECT json_object('id', CAST(space.id AS TEXT), 'kind', space.kind, 'settings', json(space.settings),
                   'version', space.version, 'is_open', json(iif(space.is_open, 'true', 'false')),
                   'role', rank_role.role, 'member_count', space.member_count, 'muted_until_ms', member.muted_until_ms,
                   'epoch', stream.epoch, 'last_seq', stream.last_seq)
FROM space JOIN member ON member.space_id = space.id AND member.user_id = ?2
     JOIN rank_role ON rank_role.rank = member.rank JOIN stream ON stream.id = space.id
WHERE space.id = ?1;

-- name: spaces
-- Those that the user is in, without the long parts of their settings. ?1 user, ?2 after this id, ?3 at most so many
SELECT json_object('spaces', json_group_array(json(json) ORDER BY id))
FROM (SELECT space.id,
             json_object('id', CAST(space.id AS TEXT), 'kind', space.kind, 'name', space.settings ->> '$.name',
                         'description', space.settings ->> '$.description', 'version', space.version,
                         'is_open', json(iif(space.is_open, 'true', 'false')), 'role', rank_role.role,
                         'member_count', space.member_count, 'epoch', stream.epoch, 'last_seq', stream.last_seq,
                         'with', json((SELECT json_object('user', CAST(user.id AS TEXT), 'name', user.name)
                                       FROM member AS other JOIN user ON user.id = other.user_id
                                       WHERE space.kind = 'direct' AND other.space_id = space.id AND other.user_id <> ?1))) AS json
      FROM member JOIN space ON space.id = member.space_id JOIN rank_role ON rank_role.rank = member.rank
           JOIN stream ON stream.id = space.id
      WHERE member.user_id = ?1 AND member.space_id > ?2
      ORDER BY member.space_id LIMIT ?3);

-- name: direct_space
-- ?1 pair
SELECT space.id, (SELECT id FROM room WHERE space_id = space.id) FROM space WHERE pair = ?1;

-- name: direct_room
-- ?1 id, ?2 space, ?3 now
INSERT INTO room (id, space_id, name, created_at_ms) VALUES (?1, ?2, 'direct', ?3) RETURNING id;

-- name: is_user
-- ?1 user
SELECT 1 FROM user WHERE id = ?1 AND disabled_at_ms IS NULL;
