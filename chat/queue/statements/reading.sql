-- name: ends
-- How some actions ended, if they did. ?1 a JSON array of client ids
SELECT client_id, state, result, error, carried_by
FROM action
WHERE client_id IN (SELECT value FROM json_each(?1)) AND state IN ('failed', 'expired', 'cancelled', 'done');

-- name: cancel_answers
-- Whether somebody said that it is too late. ?1 client id
SELECT state, cancel_asked FROM action WHERE client_id = ?1;

-- name: one
-- An action as it stands. ?1 client id
SELECT shown.client_id, shown.type, shown.version, lane.key, lane.topic, lane.account,
       CASE WHEN shown.state IN ('queued', 'retry_wait', 'paused') AND shown.in_lane = 1 AND lane.owner IS NOT NULL
                 AND shown.id <= coalesce(lane.claimed_to, 0) AND shown.entered_fence IS NOT lane.fence
            THEN 'leased' ELSE shown.state END AS state,
       shown.attempts, shown.was_called, shown.created_at_ms, shown.changed_at_ms, shown.finished_at_ms,
       shown.due_ms, shown.target_id, shown.carried_by, shown.error, shown.result, shown.key_id, shown.payload, shown.id
FROM action AS shown JOIN lane ON lane.id = shown.lane_id
WHERE shown.client_id = ?1;

-- name: some
-- Actions as they stand, in the order they came. ?1 state or NULL, ?2 type or NULL, ?3 lane's key or NULL,
-- ?4 account or NULL, ?5 after this id, ?6 how many
SELECT shown.client_id, shown.type, shown.version, lane.key, lane.topic, lane.account,
       CASE WHEN shown.state IN ('queued', 'retry_wait', 'paused') AND shown.in_lane = 1 AND lane.owner IS NOT NULL
                 AND shown.id <= coalesce(lane.claimed_to, 0) AND shown.entered_fence IS NOT lane.fence
            THEN 'leased' ELSE shown.state END AS state,
       shown.attempts, shown.was_called, shown.created_at_ms, shown.changed_at_ms, shown.finished_at_ms,
       shown.due_ms, shown.target_id, shown.carried_by, shown.error, shown.result, shown.key_id, shown.payload, shown.id
FROM action AS shown JOIN lane ON lane.id = shown.lane_id
WHERE shown.id > ?5 AND (?1 IS NULL OR shown.state = ?1) AND (?2 IS NULL OR shown.type = ?2)
  AND (?3 IS NULL OR lane.key = ?3) AND (?4 IS NULL OR lane.account = ?4)
ORDER BY shown.id LIMIT ?6;

-- name: why
-- What an action waits for. ?1 client id
SELECT lane.due_ms, lane.owner, lane.paused, asked.in_lane, asked.due_ms,
       ahead.client_id, ahead.type, ahead.state, ahead.error,
       (SELECT count(*) FROM (SELECT 1 FROM action WHERE lane_id = lane.id AND in_lane = 1 AND id < asked.id LIMIT 1000)),
       needed.client_id, needed.type, needed.state, needed.error
FROM action AS asked JOIN lane ON lane.id = asked.lane_id
LEFT JOIN action AS ahead ON ahead.id = (SELECT min(id) FROM action WHERE lane_id = lane.id AND in_lane = 1)
                         AND ahead.id < asked.id
LEFT JOIN action AS needed ON needed.id = (SELECT min(needs_id) FROM dependency WHERE action_id = asked.id)
WHERE asked.client_id = ?1;

-- name: counters
-- How many actions are in each state. ?1 type, '' for all
SELECT state, count FROM counter WHERE type = ?1;

-- name: open_count
-- How many actions have not ended.
SELECT count FROM counter WHERE type = '' AND state = 'open';

-- name: events
-- What happened after a cursor. ?1 cursor, ?2 how many
SELECT event.seq, event.at_ms, event.kind, event.client_id, event.type, lane.key, coalesce(event.account, lane.account),
       event.attempts, event.due_ms, event.error, event.result, action.carried_by, action.key_id, action.version,
       action.payload, event.was
FROM event LEFT JOIN lane ON lane.id = event.lane_id LEFT JOIN action ON action.client_id = event.client_id
WHERE event.seq > ?1 ORDER BY event.seq LIMIT ?2;

-- name: event_bounds
-- The numbers of the oldest and the newest event.
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM event;

-- name: cursor
-- What a reader has seen. ?1 its name
SELECT seq FROM cursor WHERE name = ?1;

-- name: move_cursor
-- Note what a reader has seen. ?1 its name, ?2 the number of the event, ?3 wall time
INSERT INTO cursor (name, seq, seen_at_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq), seen_at_ms = excluded.seen_at_ms;
