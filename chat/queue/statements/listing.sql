-- What people look at: run by hand, never in the middle of work.

-- name: listed
-- Actions as they stand, in the order they came. ?1 state or NULL, ?2 type or NULL, ?3 lane's key or NULL,
-- ?4 account or NULL, ?5 after this id, ?6 due before this boot time or NULL, ?7 how many
SELECT * FROM (
    SELECT shown.id AS place, shown.client_id, shown.type, shown.version, lane.key, lane.account,
           CASE WHEN shown.state IN ('queued', 'retry_wait', 'paused') AND shown.in_lane = 1 AND lane.owner IS NOT NULL
                     AND shown.id <= coalesce(lane.claimed_to, 0) AND shown.entered_fence IS NOT lane.fence
                THEN 'leased' ELSE shown.state END AS state,
           shown.attempts, shown.created_at_ms, shown.changed_at_ms, shown.finished_at_ms,
           CASE WHEN shown.finished_at_ms IS NULL AND lane.paused = 0 AND lane.owner IS NULL
                THEN CASE shown.in_lane WHEN 1 THEN lane.due_ms ELSE shown.due_ms END END AS due_ms,
           shown.carried_by, shown.error, shown.result, shown.key_id, shown.payload
    FROM action AS shown JOIN lane ON lane.id = shown.lane_id
    WHERE shown.id > ?5 AND (?2 IS NULL OR shown.type = ?2) AND (?3 IS NULL OR lane.key = ?3)
      AND (?4 IS NULL OR lane.account = ?4))
WHERE (?1 IS NULL OR state = ?1) AND (?6 IS NULL OR due_ms <= ?6)
ORDER BY place LIMIT ?7;

-- name: counters_by_type
-- How many actions of each type are in each state.
SELECT type, state, count FROM counter WHERE type <> '' ORDER BY type;

-- name: own_tables
-- How many of the queue's tables there are.
SELECT count(*) FROM sqlite_schema
WHERE type = 'table' AND name IN ('machine', 'lane', 'action', 'dependency', 'event', 'cursor', 'counter');
