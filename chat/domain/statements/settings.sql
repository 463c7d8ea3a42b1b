-- What users keep for their own devices: signing keys, settings, keys of spaces.

-- name: register_signing_key
-- ?1 user, ?2 algorithm, ?3 public key, ?4 now, ?5 the most keys of a user
INSERT INTO signing_key (user_id, algorithm, public_key, created_at_ms)
SELECT ?1, ?2, ?3, ?4
WHERE NOT EXISTS (SELECT 1 FROM signing_key WHERE user_id = ?1 AND public_key = ?3)
  AND (SELECT count(*) FROM signing_key WHERE user_id = ?1) < ?5
RETURNING user_id;

-- name: unregister_signing_key
-- ?1 user, ?2 key
DELETE FROM signing_key WHERE user_id = ?1 AND id = ?2 RETURNING user_id;

-- name: signing_key
-- ?1 user, ?2 public key
SELECT algorithm FROM signing_key WHERE user_id = ?1 AND public_key = ?2;

-- name: signing_keys
-- ?1 user
SELECT json_object('keys', json_group_array(json_object(
           'id', CAST(id AS TEXT), 'algorithm', algorithm, 'public_key', public_key, 'created_at_ms', created_at_ms)
           ORDER BY id))
FROM signing_key WHERE user_id = ?1;

-- name: save_settings
-- The next version after ?2, if that is the present one (0: there is none) and the key is the user's.
-- ?1 user, ?2 base version, ?3 ciphertext, ?4 algorithm, ?5 public key, ?6 signature, ?7 now
INSERT INTO settings_document (user_id, version, ciphertext, algorithm, public_key, signature, changed_at_ms)
SELECT ?1, ?2 + 1, ?3, ?4, ?5, ?6, ?7
WHERE ?2 = coalesce((SELECT version FROM settings_document WHERE user_id = ?1), 0)
  AND EXISTS (SELECT 1 FROM signing_key WHERE user_id = ?1 AND public_key = ?5 AND algorithm = ?4)
ON CONFLICT (user_id) DO UPDATE
SET version = excluded.version, ciphertext = excluded.ciphertext, algorithm = excluded.algorithm,
    public_key = excluded.public_key, signature = excluded.signature, changed_at_ms = excluded.changed_at_ms
RETURNING user_id;

-- name: settings
-- ?1 user
SELECT json_object('version', version, 'ciphertext', ciphertext, 'algorithm', algorithm, 'public_key', public_key,
                   'signature', signature)
FROM settings_document WHERE user_id = ?1;

-- name: put_space_keys
-- Each under the next version; those that are the same already stay, those of spaces without the user are left out.
-- ?1 user, ?2 blobs by space (JSON), ?3 now
INSERT INTO space_key (user_id, space_id, version, blob, changed_at_ms)
SELECT ?1, member.space_id,
       (SELECT coalesce(max(version), 0) FROM space_key WHERE user_id = ?1)
       + row_number() OVER (ORDER BY member.space_id),
       given.value, ?3
FROM json_each(?2) AS given
     JOIN member ON member.space_id = CAST(given.key AS INTEGER) AND member.user_id = ?1
     LEFT JOIN space_key AS held ON held.user_id = ?1 AND held.space_id = member.space_id
WHERE held.blob IS NOT given.value
ON CONFLICT (user_id, space_id) DO UPDATE
SET version = excluded.version, blob = excluded.blob, changed_at_ms = excluded.changed_at_ms
RETURNING user_id;

-- name: space_keys
-- ?1 user, ?2 after this version, ?3 at most so many
SELECT json_object('keys', json_group_array(json_object(
           'space', CAST(space_id AS TEXT), 'version', version, 'blob', blob) ORDER BY version))
FROM (SELECT space_id, version, blob FROM space_key
      WHERE user_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3);

-- name: is_in_one_of
-- ?1 user, ?2 blobs by space (JSON)
SELECT 1 FROM json_each(?2) AS given
JOIN member ON member.space_id = CAST(given.key AS INTEGER) AND member.user_id = ?1 LIMIT 1;
