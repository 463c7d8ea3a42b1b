-- Rooms of a space, and the groups they are in.

-- name: new_room
-- Add a room to a space, if the user may and there are not too many.
-- ?1 id, ?2 space, ?3 user, ?4 the least rank, ?5 name, ?6 topic, ?7 now, ?8 the most rooms, ?9 group or NULL
INSERT INTO room (id, space_id, name, topic, group_id, place, created_at_ms)
SELECT ?1, ?2, ?5, ?6, ?9, (SELECT count(*) FROM room WHERE space_id = ?2), ?7
FROM member WHERE space_id = ?2 AND user_id = ?3 AND rank >= ?4
  AND (SELECT count(*) FROM room WHERE space_id = ?2) < ?8
  AND (?9 IS NULL OR EXISTS (SELECT 1 FROM channel_group WHERE id = ?9 AND space_id = ?2))
RETURNING id;

-- name: update_room
-- What is NULL stays. ?1 room, ?2 user, ?3 the least rank, ?4 name, ?5 topic, ?6 place, ?7 group (0 takes it out of its group),
-- ?8 whether it is archived, ?9 now
UPDATE room
SET name = coalesce(?4, name), topic = coalesce(?5, topic), place = coalesce(?6, place),
    group_id = nullif(coalesce(?7, group_id), 0),
    archived_at_ms = CASE ?8 WHEN 1 THEN coalesce(archived_at_ms, ?9) WHEN 0 THEN NULL ELSE archived_at_ms END
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM member WHERE space_id = room.space_id AND user_id = ?2 AND rank >= ?3)
  AND (coalesce(?7, 0) = 0 OR EXISTS (SELECT 1 FROM channel_group WHERE id = ?7 AND space_id = room.space_id))
RETURNING space_id;

-- name: room
-- ?1 room, ?2 user
SELECT room_json.json FROM room_json JOIN member ON member.space_id = room_json.space_id AND member.user_id = ?2
WHERE room_json.id = ?1;

-- name: space_rooms
-- ?1 space, ?2 user
SELECT json_object('rooms', json_group_array(json(json) ORDER BY place, id))
FROM room_json
WHERE space_id = ?1 AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2);

-- name: new_group
-- ?1 space, ?2 user, ?3 the least rank, ?4 name, ?5 the most groups
INSERT INTO channel_group (space_id, name, place)
SELECT ?1, ?4, (SELECT count(*) FROM channel_group WHERE space_id = ?1)
FROM member WHERE space_id = ?1 AND user_id = ?2 AND rank >= ?3
  AND (SELECT count(*) FROM channel_group WHERE space_id = ?1) < ?5
RETURNING id, space_id;

-- name: update_group
-- What is NULL stays. ?1 group, ?2 user, ?3 the least rank, ?4 name, ?5 place, ?6 space
UPDATE channel_group SET name = coalesce(?4, name), place = coalesce(?5, place)
WHERE id = ?1 AND space_id = ?6 AND EXISTS (SELECT 1 FROM member WHERE space_id = ?6 AND user_id = ?2 AND rank >= ?3)
RETURNING space_id;

-- name: delete_group
-- Its rooms stay, in no group. ?1 group, ?2 user, ?3 the least rank, ?4 space
DELETE FROM channel_group
WHERE id = ?1 AND space_id = ?4 AND EXISTS (SELECT 1 FROM member WHERE space_id = ?4 AND user_id = ?2 AND rank >= ?3)
RETURNING space_id;

-- name: room_count
-- ?1 space
SELECT count(*) FROM room WHERE space_id = ?1;

-- name: group_count
-- ?1 space
SELECT count(*) FROM channel_group WHERE space_id = ?1;

-- name: has_group
-- ?1 group, ?2 space
SELECT 1 FROM channel_group WHERE id = ?1 AND space_id = ?2;

-- name: is_group_elsewhere
-- ?1 group, ?2 space
SELECT 1 FROM channel_group WHERE id = ?1 AND space_id <> ?2;

-- name: groups
-- ?1 space, ?2 user
SELECT json_object('groups', json_group_array(json_object('id', CAST(id AS TEXT), 'name', name, 'place', place)
                                              ORDER BY place, id))
FROM channel_group
WHERE space_id = ?1 AND EXISTS (SELECT 1 FROM member WHERE space_id = ?1 AND user_id = ?2);

-- name: mark_read
-- Only ever further, and not beyond the room's end. ?1 user, ?2 room, ?3 seq
INSERT INTO read_marker (user_id, room_id, seq)
SELECT ?1, room.id, min(?3, stream.last_seq)
FROM room JOIN stream ON stream.id = room.id JOIN member ON member.space_id = room.space_id AND member.user_id = ?1
WHERE room.id = ?2 AND ?3 > 0 AND stream.last_seq > 0
ON CONFLICT (user_id, room_id) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > read_marker.seq
RETURNING user_id, seq;

-- name: tell_read
-- In the user's own stream. ?1 user, ?2 body, ?3 now, ?4 seq
INSERT INTO event (stream_id, seq, kind, actor_id, body, at_ms)
SELECT id, last_seq + 1, 'room.read', ?1, json_set(?2, '$.seq', ?4), ?3 FROM stream WHERE id = ?1
RETURNING seq;

-- name: read_marker
-- ?1 user, ?2 room
SELECT seq FROM read_marker WHERE user_id = ?1 AND room_id = ?2;
