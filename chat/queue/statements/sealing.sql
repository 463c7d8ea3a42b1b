-- Which keys payloads are sealed with, and how they come under another one.

-- name: sealing_keys
-- The keys of payloads, and of the secret; one look-up a key, however many payloads there are.
WITH RECURSIVE used (key_id) AS (
    SELECT min(key_id) FROM action WHERE key_id IS NOT NULL
    UNION ALL
    SELECT (SELECT min(key_id) FROM action WHERE key_id > used.key_id) FROM used WHERE used.key_id IS NOT NULL)
SELECT key_id FROM used WHERE key_id IS NOT NULL UNION SELECT secret_key_id FROM machine WHERE secret_key_id IS NOT NULL;

-- name: keys_in_use
-- How many payloads are sealed with each key; the secret of digests counts as one.
SELECT key_id, count(*)
FROM (SELECT key_id FROM action WHERE key_id IS NOT NULL
      UNION ALL SELECT secret_key_id FROM machine WHERE secret_key_id IS NOT NULL)
GROUP BY key_id;

-- name: digest_secret
-- The sealed secret that digests are made with, and its key.
SELECT secret_key_id, secret FROM machine;

-- name: keep_digest_secret
-- Store the secret, if nobody else has meanwhile. ?1 the sealed one that was read, ?2 key, ?3 sealed
UPDATE machine SET secret_key_id = ?2, secret = ?3 WHERE secret IS ?1;

-- name: sealed_with
-- Payloads that are sealed with a key. ?1 key, ?2 after this id, ?3 how many
SELECT sealed.id, sealed.client_id, sealed.type, lane.key, sealed.revision, sealed.key_id, sealed.payload
FROM action AS sealed JOIN lane ON lane.id = sealed.lane_id
WHERE sealed.key_id = ?1 AND sealed.id > ?2
ORDER BY sealed.id LIMIT ?3;

-- name: not_sealed
-- Payloads that are not sealed. ?1 after this id, ?2 how many
SELECT plain.id, plain.client_id, plain.type, lane.key, plain.revision, plain.key_id, plain.payload
FROM action AS plain JOIN lane ON lane.id = plain.lane_id
WHERE plain.id > ?1 AND plain.key_id IS NULL AND plain.payload IS NOT NULL
ORDER BY plain.id LIMIT ?2;

-- name: reseal
-- Replace a sealed payload by itself under another key, if it is still the same. ?1 id, ?2 revision, ?3 key, ?4 new key,
-- ?5 payload
UPDATE action SET payload = ?5, key_id = ?4
WHERE id = ?1 AND revision = ?2 AND key_id IS ?3 AND payload IS NOT NULL;

-- name: look_for_keys
-- Do not let lanes wait any longer whose first action could not be opened. ?1 boot time
UPDATE lane SET due_ms = ?1
WHERE owner IS NULL AND due_ms > ?1
  AND id IN (SELECT lane_id FROM action WHERE key_id IS NOT NULL AND in_lane = 1 AND state IN ('paused', 'uncertain'));
