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
  AND (SELECT count FROM counter WHERE type = '' AND state = 'open') < ?16
ON CONFLICT (client_id) DO NOTHING;

-- name: expect_room
-- Break the batch off unless so many more actions may be open. ?1 how many, ?2 limit
INSERT INTO expected SELECT (SELECT count FROM counter WHERE type = '' AND state = 'open') + ?1 <= ?2;

-- name: open_lanes
-- Make those lanes of actions that are not there. ?1 JSON: [[key, topic, account, priority], ...]
INSERT INTO lane (key, topic, account, priority, paused)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3,
       CASE WHEN EXISTS (SELECT 1 FROM paused_account WHERE account = value ->> 2) THEN 2 ELSE 0 END
FROM json_each(?1)
WHERE true
ON CONFLICT (key) DO UPDATE SET priority = excluded.priority WHERE excluded.priority < lane.priority;

-- name: add_actions
-- Store actions in lanes that are there; one whose lane is not, or whose client id is there, breaks the batch off. The row
-- of VALUES is repeated for as many as there are. Its columns: client id, lane's key, type, version, in_lane, due_ms, wall
-- time, not_before_at_ms, expires_at_ms, max_attempts, subject, target_id, digest, key_id, payload
WITH new (client_id, lane_key, type, version, in_lane, due_ms, at_ms, not_before_at_ms, expires_at_ms, max_attempts,
          subject, target_id, digest, key_id, payload) AS (
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15))
INSERT INTO action (client_id, lane_id, type, version, state, in_lane, due_ms, created_at_ms, changed_at_ms,
                    not_before_at_ms, expires_at_ms, max_attempts, subject, target_id, digest, key_id, payload)
SELECT new.client_id, lane.id, new.type, new.version, 'queued', new.in_lane, new.due_ms, new.at_ms, new.at_ms,
       new.not_before_at_ms, new.expires_at_ms, new.max_attempts, new.subject, new.target_id, new.digest, new.key_id,
       new.payload
FROM new LEFT JOIN lane ON lane.key = new.lane_key;

-- name: add_needs
-- Note what an action needs that is not done yet; of what was merged into another action, that one.
-- ?1 client id, ?2 a JSON array of client ids
INSERT OR IGNORE INTO dependency (action_id, needs_id)
WITH RECURSIVE needed (id, state, carried_by) AS (
    SELECT id, state, carried_by FROM action WHERE client_id IN (SELECT value FROM json_each(?2))
    UNION
    SELECT action.id, action.state, action.carried_by
    FROM needed CROSS JOIN action ON action.client_id = needed.carried_by)
SELECT waiting.id, needed.id
FROM action AS waiting CROSS JOIN needed
WHERE waiting.client_id = ?1 AND waiting.finished_at_ms IS NULL
  AND needed.carried_by IS NULL AND needed.state <> 'done' AND needed.id <> waiting.id;

-- name: cancel_if_needed_is_gone
-- Take an action back at once if something that it needs will never be done. ?1 client id, ?2 wall time
UPDATE action
SET state = 'cancelled', in_lane = 0, due_ms = NULL, payload = NULL, key_id = NULL, changed_at_ms = ?2,
    finished_at_ms = ?2, error = '{"kind":"target_gone","code":"needed_action_gone"}'
WHERE client_id = ?1 AND finished_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM dependency JOIN action AS needed ON needed.id = needs_id
              WHERE action_id = action.id AND needed.state IN ('cancelled', 'expired'));

-- name: enter_unless_needing
-- Let an action that waited for others into its lane if it needs none. ?1 client id, ?2 boot time
UPDATE action
SET in_lane = 1, due_ms = ?2
WHERE client_id = ?1 AND in_lane = 0 AND due_ms IS NULL AND finished_at_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id);

-- name: add_finished
-- Store an action that has nothing to do any more. ?1 client id, ?2 lane's key, ?3 type, ?4 version, ?5 state,
-- ?6 carried_by, ?7 wall time, ?8 digest, ?9 result
INSERT INTO action (client_id, lane_id, type, version, state, in_lane, carried_by, created_at_ms, changed_at_ms,
                    finished_at_ms, digest, result)
SELECT ?1, id, ?3, ?4, ?5, 0, ?6, ?7, ?7, ?7, ?8, ?9
FROM lane WHERE key = ?2;

-- name: look_up
-- What is stored under some client ids. ?1 a JSON array of them
SELECT client_id, digest, state FROM action WHERE client_id IN (SELECT value FROM json_each(?1));

-- name: pending_about
-- The unfinished actions that a new one may be coalesced with, oldest first; those that are claimed, or whose outcome is
-- unknown, are told apart. ?1 subject, ?2 client id of the target, ?3 whether all actions about the target are asked
-- for, ?4 whether it may be coalesced past other actions of its lane
SELECT found.id, found.client_id, found.type, found.version, found.was_called, found.revision, found.key_id,
       found.payload, found.created_at_ms, found.in_lane = 0 AND found.due_ms IS NOT NULL AS is_delayed,
       found.state IN ('queued', 'retry_wait', 'paused', 'failed')
           AND NOT (found.in_lane = 1 AND lane.owner IS NOT NULL AND found.id <= coalesce(lane.claimed_to, 0)
                    AND found.entered_fence IS NOT lane.fence)
           AS is_free,
       lane.key,
       EXISTS (SELECT 1 FROM dependency JOIN action AS needed ON needed.id = dependency.needs_id
               WHERE dependency.action_id = found.id AND needed.client_id IS NOT found.target_id) AS needs_others
FROM action AS found JOIN lane ON lane.id = found.lane_id
WHERE found.finished_at_ms IS NULL
  AND found.id IN (SELECT id FROM action WHERE subject = ?1 AND finished_at_ms IS NULL
                   UNION ALL SELECT id FROM action WHERE client_id = ?2
                   UNION ALL SELECT id FROM action WHERE ?3 AND target_id = ?2 AND finished_at_ms IS NULL)
  AND (?4 OR NOT EXISTS (SELECT 1 FROM action AS other
                         WHERE other.lane_id = found.lane_id AND other.in_lane = 1 AND other.id > found.id
                           AND other.subject IS NOT found.subject))
ORDER BY found.id;

-- name: recast
-- Change what a pending action carries. ?1 id, ?2 revision, ?3 payload, ?4 key_id, ?5 version, ?6 due_ms if it is
-- delayed, ?7 wall time
UPDATE action
SET payload = ?3, key_id = ?4, version = ?5, revision = revision + 1, changed_at_ms = ?7,
    due_ms = CASE WHEN in_lane = 0 AND due_ms IS NOT NULL THEN coalesce(?6, due_ms) ELSE due_ms END
WHERE id = ?1 AND revision = ?2 AND state IN ('queued', 'retry_wait', 'paused') AND was_called = 0
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence);

-- name: keep_as_is
-- Make sure that a pending action is as it was. ?1 id, ?2 revision
UPDATE action
SET revision = revision + 1
WHERE id = ?1 AND revision = ?2 AND state IN ('queued', 'retry_wait', 'paused')
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence);

-- name: drop
-- Take a pending action out, because another one has its effect or it has none.
-- ?1 id, ?2 revision, ?3 carried_by, ?4 wall time
UPDATE action
SET state = 'cancelled', in_lane = 0, due_ms = NULL, carried_by = ?3, payload = NULL, key_id = NULL,
    revision = revision + 1, changed_at_ms = ?4, finished_at_ms = ?4
WHERE id = ?1 AND revision = ?2 AND state IN ('queued', 'retry_wait', 'paused', 'failed')
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence);

-- name: unblock_dropped
-- Let the lane go on that was blocked by an action which was taken out. ?1 id, ?2 boot time
UPDATE lane
SET blocked_by = NULL,
    due_ms = CASE WHEN EXISTS (SELECT 1 FROM action WHERE lane_id = lane.id AND in_lane = 1) THEN ?2 END
WHERE blocked_by = ?1 AND owner IS NULL;

-- name: move_needs
-- Let what needed one action need another one instead; that one does not come to need itself.
-- ?1 id of the one, ?2 client id of the other
UPDATE OR REPLACE dependency
SET needs_id = (SELECT id FROM action WHERE client_id = ?2)
WHERE needs_id = ?1 AND action_id <> (SELECT id FROM action WHERE client_id = ?2);

-- name: expect_one_change
-- Break the batch off unless the statement before changed exactly one row.
INSERT INTO expected SELECT changes() = 1;
