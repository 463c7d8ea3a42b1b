-- What people and programs do to actions by hand. A lane's id is always that of the action that is named.

-- name: cancel
-- Take back an action that is certainly not at the server; one that was given up without an answer may be.
-- ?1 client id, ?2 wall time
UPDATE action
SET state = 'cancelled', in_lane = 0, due_ms = NULL, payload = NULL, key_id = NULL, cancel_asked = 0,
    revision = revision + 1, changed_at_ms = ?2, finished_at_ms = ?2
WHERE client_id = ?1 AND state IN ('queued', 'retry_wait', 'paused', 'failed')
  AND NOT (state = 'failed' AND coalesce(error ->> 'code', '') IN ('outcome_not_told', 'outcome_unknown'))
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence)
RETURNING id;

-- name: ask_to_cancel
-- Ask whoever has claimed an action to take it back. ?1 client id
UPDATE action SET cancel_asked = 1
WHERE client_id = ?1 AND finished_at_ms IS NULL AND cancel_asked = 0;

-- name: cancels_asked
-- What is to be taken back of what is claimed. ?1 owner
SELECT asked.id, asked.lane_id
FROM action AS asked
WHERE asked.cancel_asked = 1 AND asked.lane_id IN (SELECT id FROM lane WHERE owner = ?1);

-- name: refuse_cancel
-- Say that it is too late to take actions back. ?1 a JSON array of ids
UPDATE action SET cancel_asked = 2
WHERE id IN (SELECT value FROM json_each(?1)) AND cancel_asked = 1;

-- name: unblock
-- Let the lane go on that waited for an action which is not stuck any more. ?1 client id, ?2 boot time
UPDATE lane
SET blocked_by = NULL,
    due_ms = CASE WHEN EXISTS (SELECT 1 FROM action WHERE lane_id = lane.id AND in_lane = 1) THEN ?2 END
WHERE blocked_by = (SELECT id FROM action WHERE client_id = ?1 AND state <> 'failed') AND owner IS NULL;

-- name: retry
-- Try an action again from the beginning. ?1 client id, ?2 boot time, ?3 wall time
UPDATE action
SET state = CASE WHEN state = 'uncertain' OR error ->> 'code' = 'outcome_not_told' THEN 'uncertain' ELSE 'queued' END,
    attempts = 0,
    in_lane = NOT EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id),
    due_ms = CASE WHEN EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id) THEN NULL ELSE ?2 END,
    error = NULL, cancel_asked = 0, revision = revision + 1, changed_at_ms = ?3, finished_at_ms = NULL,
    expires_at_ms = CASE WHEN expires_at_ms IS NOT NULL THEN ?3 + (expires_at_ms - created_at_ms) END
WHERE client_id = ?1 AND state IN ('failed', 'expired', 'retry_wait', 'paused', 'queued', 'uncertain')
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence)
RETURNING id;

-- name: try_lane_now
-- Do not let the lane of an action wait any longer. ?1 client id, ?2 boot time
UPDATE lane SET due_ms = ?2
WHERE id = (SELECT lane_id FROM action WHERE client_id = ?1 AND in_lane = 1)
  AND owner IS NULL AND blocked_by IS NULL AND (due_ms IS NULL OR due_ms > ?2);

-- name: failed_ids
-- The failed actions that may be tried again, oldest first. ?1 account or NULL, ?2 type or NULL, ?3 after this id
SELECT failed.id, failed.client_id
FROM action AS failed
WHERE failed.id IN (SELECT id FROM action WHERE state = 'failed' AND finished_at_ms IS NOT NULL
                    UNION ALL SELECT blocked_by FROM lane WHERE blocked_by IS NOT NULL)
  AND failed.id > ?3 AND (?2 IS NULL OR failed.type = ?2)
  AND (?1 IS NULL OR EXISTS (SELECT 1 FROM lane WHERE lane.id = failed.lane_id AND account = ?1))
ORDER BY failed.id LIMIT 200;

-- name: amend
-- Change the payload of an action that nobody has seen yet.
-- ?1 client id, ?2 payload, ?3 key_id, ?4 version, ?5 digest, ?6 wall time
UPDATE action
SET payload = ?2, key_id = ?3, version = ?4, digest = ?5, revision = revision + 1, changed_at_ms = ?6
WHERE client_id = ?1 AND state IN ('queued', 'retry_wait', 'paused') AND was_called = 0
  AND NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                       AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence)
RETURNING id;

-- name: pause_lane
-- Let a lane wait until it is resumed. ?1 key
UPDATE lane SET paused = paused | 1 WHERE key = ?1 RETURNING id;

-- name: resume_lane
-- Let a lane that was paused go on. ?1 key
UPDATE lane SET paused = paused & ~1 WHERE key = ?1 RETURNING id;

-- name: pause_account
-- Let all lanes of an account wait until it has logged in again. ?1 account, ?2 wall time
INSERT INTO paused_account (account, since_at_ms) VALUES (?1, ?2) ON CONFLICT (account) DO NOTHING;

-- name: resume_account
-- The account has logged in. ?1 account
DELETE FROM paused_account WHERE account = ?1 RETURNING since_at_ms;

-- name: readmit
-- Let actions go on that were held because nobody knew their version. ?1 type, ?2 the version that is known now,
-- ?3 boot time, ?4 wall time
UPDATE action
SET state = CASE state WHEN 'paused' THEN 'queued' ELSE state END, in_lane = 1, due_ms = ?3, error = NULL,
    changed_at_ms = ?4
WHERE id IN (SELECT id FROM action
             WHERE type = ?1 AND version <= ?2 AND state IN ('paused', 'uncertain') AND in_lane = 0
               AND due_ms IS NULL AND finished_at_ms IS NULL
             LIMIT 500);

-- name: take_over
-- End the claims of owners that are known to be dead. ?1 a JSON array of owners, ?2 boot time
UPDATE lane SET due_ms = ?2
WHERE owner IN (SELECT value FROM json_each(?1)) AND due_ms > ?2
RETURNING id;

-- name: owners
-- Who has claims.
SELECT DISTINCT owner FROM lane WHERE owner IS NOT NULL;

-- name: boot_id
-- The run of the machine that boot times in the file are of.
SELECT boot_id FROM machine;

-- name: boot_lanes
-- After a restart of the machine boot time means nothing: whatever waited is due. Walks all lanes, once a restart.
-- ?1 boot id
UPDATE lane SET due_ms = 0
WHERE due_ms > 0 AND (SELECT boot_id FROM machine) <> ?1;

-- name: boot_actions
-- Likewise; what was delayed until a wall time goes on waiting for it, but no longer than its whole delay: that clock may
-- have been set back. ?1 boot id, ?2 boot time, ?3 wall time
UPDATE action
SET due_ms = ?2 + max(0, min(coalesce(not_before_at_ms, 0) - ?3, coalesce(not_before_at_ms - created_at_ms, 0)))
WHERE in_lane = 0 AND due_ms IS NOT NULL AND (SELECT boot_id FROM machine) <> ?1;

-- name: boot
-- Remember this run of the machine. ?1 boot id
UPDATE machine SET boot_id = ?1 WHERE boot_id <> ?1;

-- name: forgotten_topics
-- What has been due for so long that nobody can have handlers for it. ?1 boot time
SELECT DISTINCT topic, priority FROM lane
WHERE paused = 0 AND due_ms IS NOT NULL AND due_ms < ?1 AND owner IS NULL;
