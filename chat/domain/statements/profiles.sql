-- What users say of themselves. It is seen by those who share a space with them.

-- name: profile
-- ?1 user, ?2 who asks
SELECT json_object('id', CAST(user.id AS TEXT), 'name', user.name, 'display_name', user.display_name,
                   'fields', json(user.profile), 'version', user.profile_version, 'avatar', iif(avatar.hash IS NULL, NULL, lower(hex(avatar.hash))))
FROM user LEFT JOIN avatar ON avatar.user_id = user.id
WHERE user.id = ?1
  AND (?1 = ?2 OR EXISTS (SELECT 1 FROM member AS theirs JOIN member AS own ON own.space_id = theirs.space_id AND own.user_id = ?2
                          WHERE theirs.user_id = ?1));

-- name: me
-- ?1 user, ?2 device
SELECT json_object('id', CAST(user.id AS TEXT), 'name', user.name, 'display_name', user.display_name,
                   'fields', json(user.profile), 'version', user.profile_version, 'avatar', iif(avatar.hash IS NULL, NULL, lower(hex(avatar.hash))),
                   'server_role', user.server_role, 'created_at_ms', user.created_at_ms, 'device', CAST(?2 AS TEXT),
                   'epoch', stream.epoch, 'last_seq', stream.last_seq)
FROM user JOIN stream ON stream.id = user.id LEFT JOIN avatar ON avatar.user_id = user.id
WHERE user.id = ?1;

-- name: user_card
-- As much as one has to know to write to somebody whose name one knows. ?1 name, ?2 the same in small letters
SELECT json_object('users', json_group_array(json_object(
           'id', CAST(id AS TEXT), 'name', name, 'display_name', display_name)))
FROM (SELECT id, name, display_name FROM user
      WHERE name IN (?1, ?2) AND disabled_at_ms IS NULL ORDER BY name = ?1 DESC LIMIT 1);

-- name: changed_profiles
-- Of those who share a space with a user, in the order of their last changes; found by the changes, so it costs nothing
-- in how many spaces the user is. ?1 who asks, ?2 after this position, ?3 at most so many
SELECT json_object('users', json_group_array(json_object(
           'id', CAST(id AS TEXT), 'name', name, 'display_name', display_name, 'version', profile_version, 'avatar', avatar)
           ORDER BY position),
       'position', coalesce(max(position), ?2))
FROM (SELECT max(event.position) AS position, user.id, user.name, user.display_name, user.profile_version,
             iif(avatar.hash IS NULL, NULL, lower(hex(avatar.hash))) AS avatar
      FROM event JOIN user ON user.id = event.actor_id LEFT JOIN avatar ON avatar.user_id = user.id
      WHERE event.kind = 'user.changed' AND event.position > ?2
        AND (user.id = ?1 OR EXISTS (
            SELECT 1 FROM member AS theirs JOIN member AS own ON own.space_id = theirs.space_id AND own.user_id = ?1
            WHERE theirs.user_id = user.id))
      GROUP BY user.id ORDER BY position LIMIT ?3);

-- name: update_profile
-- ?1 user, ?2 the version to be changed or NULL, ?3 display name or NULL, ?4 fields (JSON; NULL takes one away), ?5 the most bytes
UPDATE user SET display_name = coalesce(?3, display_name), profile = json_patch(profile, ?4),
                profile_version = profile_version + 1
WHERE id = ?1 AND profile_version = coalesce(?2, profile_version) AND octet_length(json_patch(profile, ?4)) <= ?5
  AND (display_name <> coalesce(?3, display_name) OR profile <> json_patch(profile, ?4))
RETURNING id, profile_version;

-- name: profile_fields
-- What there is to merge with, and whether that changes anything. ?1 user, ?2 display name or NULL, ?3 fields (JSON)
SELECT profile_version, display_name, profile, octet_length(json_patch(profile, ?3)),
       display_name <> coalesce(?2, display_name) OR profile <> json_patch(profile, ?3)
FROM user WHERE id = ?1;

-- name: set_avatar
-- ?1 user, ?2 type, ?3 hash, ?4 image, ?5 now
INSERT INTO avatar (user_id, type, hash, image, at_ms)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM avatar WHERE user_id = ?1 AND hash = ?3)
ON CONFLICT (user_id) DO UPDATE
    SET type = excluded.type, hash = excluded.hash, image = excluded.image, at_ms = excluded.at_ms
RETURNING user_id;

-- name: delete_avatar
-- ?1 user
DELETE FROM avatar WHERE user_id = ?1 RETURNING user_id;

-- name: avatar
-- Without the image if it is known. ?1 user, ?2 who asks, ?3 the hash that is known or NULL
SELECT type, hash, iif(hash IS ?3, NULL, image) FROM avatar
WHERE user_id = ?1
  AND (?1 = ?2 OR EXISTS (SELECT 1 FROM member AS theirs JOIN member AS own ON own.space_id = theirs.space_id AND own.user_id = ?2
                          WHERE theirs.user_id = ?1));
