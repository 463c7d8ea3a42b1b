-- The keys of spaces as this device has them.

-- name: space_key
-- ?1 space
SELECT blob FROM space_key WHERE space = ?1;

-- name: change_space_key
-- Under the next version, unless it is the same already. ?1 space, ?2 blob
INSERT INTO space_key (space, blob, version)
SELECT ?1, ?2, 1 + max((SELECT coalesce(max(version), 0) FROM space_key),
                       coalesce((SELECT value FROM number WHERE name = 'keys_synced'), 0))
WHERE NOT EXISTS (SELECT 1 FROM space_key WHERE space = ?1 AND blob = ?2)
ON CONFLICT (space) DO UPDATE SET blob = excluded.blob, version = excluded.version
RETURNING version;

-- name: changed_space_keys
-- All that changed since the last sync, at once: blobs by space (JSON), and the highest version among them.
SELECT json_group_object(space, blob), coalesce(max(version), 0) FROM space_key
WHERE version > coalesce((SELECT value FROM number WHERE name = 'keys_synced'), 0);

-- name: take_space_keys
-- Those of the server, but for what was changed here and is not there yet. ?1 keys (JSON)
INSERT INTO space_key (space, blob, version)
SELECT value ->> '$.space', value ->> '$.blob', 0 FROM json_each(?1) WHERE true
ON CONFLICT (space) DO UPDATE SET blob = excluded.blob, version = 0
WHERE version <= coalesce((SELECT value FROM number WHERE name = 'keys_synced'), 0);
