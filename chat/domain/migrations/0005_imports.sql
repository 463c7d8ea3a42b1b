-- An import numbers, tells and indexes its lines by a few statements of its own, not line by line in triggers.

CREATE TABLE importing (            -- has a row only within the transaction of an import, whose rows set off no trigger
    source TEXT NOT NULL
) STRICT;

DROP TRIGGER message_imported;
DROP TRIGGER event_imported;
DROP VIEW imported_line;

DROP TRIGGER event_numbered;
CREATE TRIGGER event_numbered AFTER INSERT ON event WHEN NOT EXISTS (SELECT 1 FROM importing)
BEGIN
    UPDATE stream SET last_seq = NEW.seq WHERE id = NEW.stream_id;
END;

DROP TRIGGER message_created;
CREATE TRIGGER message_created AFTER INSERT ON message WHEN NOT EXISTS (SELECT 1 FROM importing)
BEGIN
    INSERT INTO event (stream_id, seq, kind, actor_id, message_id, at_ms)
    VALUES (NEW.room_id, NEW.seq, 'message.created', NEW.sender_id, NEW.id, NEW.created_at_ms);
    INSERT INTO message_text (rowid, content) VALUES (NEW.id, NEW.content);
END;
