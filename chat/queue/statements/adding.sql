-- name: open_lane
-- Make the lane of an action if it is not there. ?1 key, ?2 topic, ?3 account, ?4 priority
INSERT INTO lane (key, topic, account, priority, paused)
SELECT ?1, ?2, ?3, ?4, CASE WHEN EXISTS (SELECT 1 FROM paused_account WHERE account = ?3) THEN 2 ELSE 0 END
WHERE true
ON CONFLICT (key) DO UPDATE SET priority = excluded.priority WHERE excluded.priority < lane.priority;

-- name: add_action
-- Store an action unless its client id is there already or the queue is full; one row changed says that it was stored.
-- ?1 client id, ?2 lane's key, ?3 type, ?4 version, ?5 in_lane, ?6 due_ms, ?7 wall time, ?8 not_before_at_ms,
-- ?9 expires_at_ms, ?10 max_attempts, ?11 subject, ?12 target_id, ?13 digest, ?14 key_id, ?15 payload, ?16 limit
INSERT INTO action (client_id, lane_id, type, version, state, in_lane, due_ms, created_at_ms, changed_at_ms,
                    not_before_at_ms, expires_at_ms, max_attempts, subject, target_id, digest, key_id, payload)
SELECT ?1, id, ?3, ?4, 'queued', ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
FROM lane
WHERE key = ?2
  AND (SELECT sum(count) FROM counter WHERE state IN ('queued', 'calling', 'uncertain', 'retry_wait', 'paused')) < ?16
ON CONFLICT (client_id) DO NOTHING;

-- name: look_up
-- What is stored under some client ids. ?1 a JSON array of them
SELECT client_id, digest, state FROM action WHERE client_id IN (SELECT value FROM json_each(?1));
