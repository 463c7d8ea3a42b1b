-- A turn of the loop is one transaction: what became of the last claims, then the next ones.

-- name: enter_due
-- Let actions that waited outside of their lane into it. ?1 boot time
UPDATE action
SET in_lane = NOT EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id),
    due_ms = CASE WHEN EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id) THEN NULL ELSE due_ms END
WHERE id IN (SELECT id FROM action WHERE in_lane = 0 AND due_ms IS NOT NULL AND due_ms <= ?1 ORDER BY due_ms LIMIT 500);

-- name: refused
-- The reports that do not count, in one row: JSON: [action, ...]. ?1 JSON: [[action, lane, fence, ...], ...]
SELECT json_group_array(said.id)
FROM (SELECT value ->> 0 AS id, value ->> 1 AS lane_id, value ->> 2 AS fence FROM json_each(?1)) AS said
WHERE NOT EXISTS (SELECT 1 FROM lane WHERE lane.id = said.lane_id AND lane.fence = said.fence AND owner IS NOT NULL)
   OR NOT EXISTS (SELECT 1 FROM action WHERE action.id = said.id AND finished_at_ms IS NULL);

-- name: finish
-- Write down what was done, where the claim still holds. ?1 JSON: [[id, lane, fence, result], ...], ?2 wall time
UPDATE action
SET state = 'done', in_lane = 0, was_called = 1, due_ms = NULL, error = NULL, result = said.result, payload = NULL,
    key_id = NULL, changed_at_ms = ?2, finished_at_ms = ?2
FROM (SELECT value ->> 0 AS id, value ->> 1 AS lane_id, value ->> 2 AS fence, value ->> 3 AS result
      FROM json_each(?1)) AS said
WHERE action.id = said.id AND finished_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM lane WHERE lane.id = said.lane_id AND lane.fence = said.fence AND owner IS NOT NULL);

-- name: settle
-- Write down whatever else became of actions, where the claim still holds.
-- ?1 JSON: [[id, lane, fence, state, in_lane, due_ms, attempts, was_called, error, result, is_finished], ...],
-- ?2 wall time
UPDATE action
SET state = said.state, in_lane = said.in_lane, due_ms = said.due_ms, attempts = said.attempts,
    was_called = said.was_called, error = said.error, result = said.result, changed_at_ms = ?2,
    finished_at_ms = CASE WHEN said.is_finished THEN ?2 END,
    payload = CASE WHEN said.state IN ('done', 'cancelled') THEN NULL ELSE payload END,
    key_id = CASE WHEN said.state IN ('done', 'cancelled') THEN NULL ELSE key_id END
FROM (SELECT value ->> 0 AS id, value ->> 1 AS lane_id, value ->> 2 AS fence, value ->> 3 AS state,
             value ->> 4 AS in_lane, value ->> 5 AS due_ms, value ->> 6 AS attempts, value ->> 7 AS was_called,
             value ->> 8 AS error, value ->> 9 AS result, value ->> 10 AS is_finished
      FROM json_each(?1)) AS said
WHERE action.id = said.id AND finished_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM lane WHERE lane.id = said.lane_id AND lane.fence = said.fence AND owner IS NOT NULL);

-- name: release
-- Give lanes back; one with nothing left in it is due never. ?1 JSON: [[lane, fence, due_ms, blocked_by, careful], ...]
UPDATE lane
SET owner = NULL, claim = NULL, claimed_to = NULL, lapsed_to = NULL,
    careful = max(lane.careful, said.careful), blocked_by = said.blocked_by,
    due_ms = CASE WHEN said.blocked_by IS NULL
                       AND EXISTS (SELECT 1 FROM action WHERE lane_id = lane.id AND in_lane = 1)
                  THEN said.due_ms END
FROM (SELECT value ->> 0 AS id, value ->> 1 AS fence, value ->> 2 AS due_ms, value ->> 3 AS blocked_by,
             value ->> 4 AS careful
      FROM json_each(?1)) AS said
WHERE lane.id = said.id AND lane.fence = said.fence AND lane.owner IS NOT NULL;

-- name: note_calls
-- Show actions whose handlers run now. ?1 JSON: [[id, lane, fence], ...], ?2 wall time
UPDATE action
SET state = 'calling', due_ms = NULL, changed_at_ms = ?2
FROM (SELECT value ->> 0 AS id, value ->> 1 AS lane_id, value ->> 2 AS fence FROM json_each(?1)) AS said
WHERE action.id = said.id AND state IN ('queued', 'retry_wait', 'paused')
  AND EXISTS (SELECT 1 FROM lane WHERE lane.id = said.lane_id AND lane.fence = said.fence AND owner IS NOT NULL);

-- name: claim
-- Claim the lanes that are due for longest, each with the first few of its actions; an action's priority is worth so
-- many milliseconds of waiting. The cost depends on the lanes claimed, not on what waits in them or elsewhere.
-- ?1 owner, ?2 number of the claim, ?3 boot time, ?4 when the claim lapses, ?5 how many lanes, ?6 how many actions each,
-- ?7 JSON: [[topic, priority], ...], ?8 ageing in milliseconds, ?9 how many claims after a lapsed one take one action
UPDATE lane
SET owner = ?1, claim = ?2, fence = fence + 1, due_ms = ?4, rank_ms = due_ms + priority * ?8,
    lapsed_to = CASE WHEN owner IS NOT NULL THEN claimed_to END,
    careful = CASE WHEN owner IS NOT NULL THEN ?9 ELSE max(careful - 1, 0) END,
    claimed_to = CASE
        WHEN owner IS NOT NULL OR careful > 0
        THEN (SELECT min(id) FROM action WHERE lane_id = lane.id AND in_lane = 1)
        ELSE (SELECT max(id) FROM (SELECT id FROM action WHERE lane_id = lane.id AND in_lane = 1 ORDER BY id LIMIT ?6))
        END
WHERE id IN (
    SELECT id FROM (
        SELECT due.id, due.due_ms + (wanted.value ->> 1) * ?8 AS rank
        FROM json_each(?7) AS wanted CROSS JOIN lane AS due
        WHERE due.id IN (SELECT id FROM lane
                         WHERE topic = wanted.value ->> 0 AND priority = wanted.value ->> 1
                           AND paused = 0 AND due_ms IS NOT NULL AND due_ms <= ?3
                         ORDER BY due_ms LIMIT ?5)
        ORDER BY rank LIMIT ?5));

-- name: claimed_lanes
-- The lanes of a claim, in one row: JSON: [[id, key, account, fence, lapsed_to, rank_ms], ...]. ?1 owner, ?2 number of the
-- claim
SELECT json_group_array(json_array(id, key, account, fence, lapsed_to, rank_ms))
FROM lane WHERE owner = ?1 AND claim = ?2;

-- name: note_lapsed
-- Whoever held these lanes before may have called their actions; the first of them is charged an attempt.
-- ?1 owner, ?2 number of the claim, ?3 wall time
UPDATE action
SET state = 'uncertain', was_called = 1, changed_at_ms = ?3,
    attempts = attempts
        + (id = (SELECT min(head.id)
                 FROM action AS head
                 WHERE head.lane_id = action.lane_id AND head.in_lane = 1
                   AND head.entered_fence IS NOT (SELECT fence - 1 FROM lane WHERE lane.id = head.lane_id)))
WHERE id IN (SELECT held.id
             FROM lane CROSS JOIN action AS held ON held.lane_id = lane.id AND held.in_lane = 1
             WHERE lane.owner = ?1 AND lane.claim = ?2 AND held.id <= lane.lapsed_to
               AND held.entered_fence IS NOT lane.fence - 1);

-- name: note_heads
-- The first action of each lane is called as soon as this is on disk. ?1 owner, ?2 number of the claim, ?3 wall time
UPDATE action
SET state = 'calling', due_ms = NULL, changed_at_ms = ?3
WHERE id IN (SELECT (SELECT min(id) FROM action WHERE lane_id = lane.id AND in_lane = 1)
             FROM lane WHERE owner = ?1 AND claim = ?2)
  AND state IN ('queued', 'retry_wait', 'paused') AND cancel_asked = 0;

-- name: claimed
-- The actions of a claim, in one row: JSON: [[id, lane, client id, type, version, state, attempts, was_called,
-- max_attempts, created_at_ms, expires_at_ms, cancel_asked, key_id, payload in hex], ...]. ?1 owner, ?2 number of the claim
SELECT json_group_array(json_array(
           held.id, held.lane_id, held.client_id, held.type, held.version, held.state, held.attempts,
           json(iif(held.was_called, 'true', 'false')), held.max_attempts, held.created_at_ms, held.expires_at_ms,
           held.cancel_asked, held.key_id, hex(held.payload)))
FROM lane CROSS JOIN action AS held ON held.lane_id = lane.id AND held.in_lane = 1
WHERE lane.owner = ?1 AND lane.claim = ?2 AND held.id <= lane.claimed_to;

-- name: next_due
-- When something will be due. ?1 JSON: [[topic, priority], ...]
SELECT min(due_ms) FROM (
    SELECT (SELECT min(due_ms) FROM lane
            WHERE topic = wanted.value ->> 0 AND priority = wanted.value ->> 1
              AND paused = 0 AND due_ms IS NOT NULL) AS due_ms
    FROM json_each(?1) AS wanted
    UNION ALL
    SELECT min(due_ms) FROM action WHERE in_lane = 0 AND due_ms IS NOT NULL);

-- name: unclaim
-- Give back, untouched, what a turn has claimed whose outcome nobody was told. ?1 owner, ?2 number of the claim,
-- ?3 boot time
UPDATE lane
SET owner = NULL, claim = NULL, claimed_to = NULL, lapsed_to = NULL, due_ms = ?3
WHERE owner = ?1 AND claim = ?2;

-- name: renew
-- Keep claims from lapsing. ?1 JSON: [[lane, fence], ...], ?2 when they lapse now
UPDATE lane
SET due_ms = ?2
FROM (SELECT value ->> 0 AS id, value ->> 1 AS fence FROM json_each(?1)) AS said
WHERE lane.id = said.id AND lane.fence = said.fence AND lane.owner IS NOT NULL
RETURNING id;
