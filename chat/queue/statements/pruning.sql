-- Each of these takes away a bounded number, and is run again while there is more.

-- name: prune_done
-- ?1 finished before this wall time
DELETE FROM action
WHERE id IN (SELECT id FROM action
             WHERE state IN ('done', 'cancelled') AND finished_at_ms IS NOT NULL AND finished_at_ms < ?1
               AND NOT EXISTS (SELECT 1 FROM dependency WHERE needs_id = action.id)
             LIMIT 500);

-- name: prune_failed
-- ?1 finished before this wall time
DELETE FROM action
WHERE id IN (SELECT id FROM action
             WHERE state IN ('failed', 'expired') AND finished_at_ms IS NOT NULL AND finished_at_ms < ?1
               AND NOT EXISTS (SELECT 1 FROM dependency WHERE needs_id = action.id)
             LIMIT 500);

-- name: prune_surplus
-- The oldest of what ended in a state; those that block their lanes stay. ?1 how many may stay, ?2 state
DELETE FROM action
WHERE id IN (SELECT id FROM action
             WHERE state = ?2 AND finished_at_ms IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM dependency WHERE needs_id = action.id)
             ORDER BY finished_at_ms
             LIMIT max(0, min(500, (SELECT count FROM counter WHERE type = '' AND state = ?2) - ?1)));

-- name: prune_lanes
-- Lanes of which nothing is left; the newest stays, so that no id comes again.
DELETE FROM lane
WHERE id IN (SELECT id FROM lane
             WHERE due_ms IS NULL AND owner IS NULL AND paused & 1 = 0 AND id < (SELECT max(id) FROM lane)
               AND NOT EXISTS (SELECT 1 FROM action WHERE lane_id = lane.id)
             LIMIT 500);

-- name: prune_events
-- What every reader has seen, or is more than may stay; the newest stays, so that no number comes again.
-- ?1 how many may stay, ?2 wall time before which they are of no use
DELETE FROM event
WHERE seq IN (SELECT seq FROM event
              WHERE seq < (SELECT max(seq) FROM event)
                AND (seq <= (SELECT max(seq) FROM event) - ?1
                     OR (at_ms < ?2 AND seq <= coalesce((SELECT min(seq) FROM cursor), seq)))
              ORDER BY seq LIMIT 2000);

-- name: prune_cursors
-- Readers that were not seen for long hold nothing back. ?1 wall time
DELETE FROM cursor WHERE seen_at_ms < ?1;

-- name: expire
-- Actions that have become pointless while they waited. ?1 wall time
UPDATE action
SET state = 'expired', in_lane = 0, due_ms = NULL, changed_at_ms = ?1, finished_at_ms = ?1
WHERE id IN (SELECT id FROM action
             WHERE expires_at_ms IS NOT NULL AND finished_at_ms IS NULL AND expires_at_ms < ?1
               AND state IN ('queued', 'retry_wait', 'paused')
               AND NOT EXISTS (SELECT 1 FROM lane
                               WHERE lane.id = lane_id AND owner IS NOT NULL AND in_lane = 1
                                 AND action.id <= coalesce(claimed_to, 0) AND entered_fence IS NOT fence)
             ORDER BY expires_at_ms LIMIT 500);
