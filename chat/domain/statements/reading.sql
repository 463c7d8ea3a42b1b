-- Pages for members, each as one JSON text. A user who is no member gets an empty one.

-- name: messages
-- ?1 room, ?2 user, ?3 after this seq, ?4 at most so many
SELECT json_object('messages', json_group_array(json(json) ORDER BY seq))
FROM (SELECT seq, json FROM message_json
      WHERE room_id = ?1 AND seq > ?3
        AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
                    WHERE room.id = ?1)
      ORDER BY seq LIMIT ?4);

-- name: messages_before
-- The nearest ones before a seq, in order. ?1 room, ?2 user, ?3 before this seq, ?4 at most so many
SELECT json_object('messages', json_group_array(json(json) ORDER BY seq))
FROM (SELECT seq, json FROM message_json
      WHERE room_id = ?1 AND seq < ?3
        AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
                    WHERE room.id = ?1)
      ORDER BY seq DESC LIMIT ?4);

-- name: pins
-- The pinned messages of a room. ?1 room, ?2 user, ?3 after this message, ?4 at most so many
SELECT json_object('pins', json_group_array(json(json) ORDER BY id))
FROM (SELECT pin.message_id AS id,
             json_object('message', json(message_json.json), 'pinned_by', CAST(pin.user_id AS TEXT), 'at_ms', pin.at_ms) AS json
      FROM pin JOIN message_json ON message_json.id = pin.message_id
      WHERE pin.room_id = ?1 AND pin.message_id > ?3
        AND EXISTS (SELECT 1 FROM room JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
                    WHERE room.id = ?1)
      ORDER BY pin.message_id LIMIT ?4);

-- name: edits
-- What a message said before, the oldest first. ?1 message, ?2 user, ?3 after this number, ?4 at most so many
SELECT json_object('edits', json_group_array(json_object('number', number, 'content', content, 'until_ms', until_ms)
                                             ORDER BY number))
FROM (SELECT number, content, until_ms FROM message_edit
      WHERE message_id = ?1 AND number > ?3
        AND EXISTS (SELECT 1 FROM message JOIN room ON room.id = message.room_id
                    JOIN member ON member.space_id = room.space_id AND member.user_id = ?2 WHERE message.id = ?1)
      ORDER BY number LIMIT ?4);

-- name: events
-- ?1 stream, ?2 user, ?3 after this seq, ?4 at most so many
SELECT json_object('events', json_group_array(json(json) ORDER BY seq))
FROM (SELECT seq, json FROM event_json
      WHERE stream_id = ?1 AND seq > ?3
        AND (?1 = ?2 OR EXISTS (SELECT 1 FROM member WHERE user_id = ?2
                                AND space_id = coalesce((SELECT space_id FROM room WHERE room.id = ?1), ?1)))
      ORDER BY seq LIMIT ?4);

-- name: feed
-- All events in the order of their commit, for those who deliver them. ?1 after this position, ?2 at most so many
SELECT position, stream_id, seq, kind, actor_id, json FROM event_json WHERE position > ?1 ORDER BY position LIMIT ?2;

-- name: feed_end
SELECT coalesce(max(position), 0) FROM event;

-- name: stream_state
-- Of a stream that the user may see. ?1 stream, ?2 user
SELECT kind, epoch, last_seq FROM stream
WHERE id = ?1
  AND (id = ?2 OR EXISTS (SELECT 1 FROM member WHERE user_id = ?2
                          AND space_id = coalesce((SELECT space_id FROM room WHERE room.id = ?1), ?1)));

-- name: standing
-- What decides what a user may do in a room. ?1 room, ?2 user
SELECT room.space_id, room.archived_at_ms, member.rank, member.muted_until_ms, space.kind
FROM room JOIN space ON space.id = room.space_id LEFT JOIN member ON member.space_id = room.space_id AND member.user_id = ?2
WHERE room.id = ?1;

-- name: rooms
-- Of all spaces that the user is in. ?1 user
SELECT json_object('rooms', json_group_array(json_object(
           'id', CAST(room.id AS TEXT), 'space', CAST(room.space_id AS TEXT), 'group', CAST(room.group_id AS TEXT),
           'name', room.name, 'topic', room.topic, 'place', room.place, 'archived_at_ms', room.archived_at_ms,
           'epoch', stream.epoch, 'last_seq', stream.last_seq, 'read_seq', coalesce(read_marker.seq, 0))
           ORDER BY room.space_id, room.place, room.id))
FROM member JOIN room ON room.space_id = member.space_id JOIN stream ON stream.id = room.id
     LEFT JOIN read_marker ON read_marker.user_id = ?1 AND read_marker.room_id = room.id
WHERE member.user_id = ?1;
