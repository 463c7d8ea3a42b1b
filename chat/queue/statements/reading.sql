-- name: ends
-- How some actions ended, if they did. ?1 a JSON array of client ids
SELECT client_id, state, result, error, carried_by
FROM action
WHERE client_id IN (SELECT value FROM json_each(?1)) AND state IN ('failed', 'expired', 'cancelled', 'done');
