-- The queue: lanes, their actions, and the log of what happened, kept in step by triggers.
--
-- Times that end in `_at_ms` are wall time (UTC); `due_ms` is boot time, which never jumps and which all processes of
-- the machine share. Boot time means nothing after the machine restarted; `machine.boot_id` tells.

CREATE TABLE machine (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    boot_id TEXT NOT NULL,
    secret_key_id TEXT,
    secret BLOB                                -- what digests are made with where payloads are sealed, sealed too
) STRICT;
INSERT INTO machine (only_row, boot_id) VALUES (1, '');

CREATE TABLE paused_account (
    account TEXT PRIMARY KEY,
    since_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A lane is what waits in order: one delivery at a time, the oldest action first. It is claimed as a whole, with a
-- fence that every report about its actions must name. Ids are never reused while rows may name them: the newest lane
-- is never pruned.
CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    account TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 2),
    due_ms INTEGER,                            -- when to claim it; while it is claimed, when the claim lapses
    fence INTEGER NOT NULL DEFAULT 0,          -- rises with each claim
    owner TEXT,                                -- who has claimed it
    claim INTEGER,                             -- in which of its turns
    claimed_to INTEGER,                        -- the last action that the claim covers
    lapsed_to INTEGER,                         -- the same of the claim before, if that one lapsed
    rank_ms INTEGER,                           -- what it was claimed in the order of
    careful INTEGER NOT NULL DEFAULT 0,        -- so many claims cover one action only
    paused INTEGER NOT NULL DEFAULT 0,         -- 1: by the user, 2: the account has to log in, 3: both
    blocked_by INTEGER,                        -- the action that failed at its head
    CHECK ((owner IS NULL) = (claim IS NULL))
) STRICT;
CREATE INDEX lane_due ON lane (topic, priority, due_ms) WHERE paused = 0 AND due_ms IS NOT NULL;
CREATE INDEX lane_claimed ON lane (owner, claim) WHERE owner IS NOT NULL;
CREATE INDEX lane_account ON lane (account);
CREATE INDEX lane_blocked ON lane (blocked_by) WHERE blocked_by IS NOT NULL;

CREATE TABLE action (
    id INTEGER PRIMARY KEY,                    -- its place in the lane
    client_id TEXT NOT NULL UNIQUE,
    lane_id INTEGER NOT NULL REFERENCES lane,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'calling', 'uncertain', 'retry_wait', 'paused',
                                         'failed', 'expired', 'cancelled', 'done')),
    in_lane INTEGER NOT NULL CHECK (in_lane IN (0, 1)),
    entered_fence INTEGER,                     -- it entered while the lane was claimed so: that claim does not cover it
    due_ms INTEGER,                            -- out of the lane: when it comes back into it
    attempts INTEGER NOT NULL DEFAULT 0,
    was_called INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0,       -- rises when its payload changes
    max_attempts INTEGER,                      -- NULL: as its type says
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    not_before_at_ms INTEGER,                  -- of one that was delayed, for after a restart of the machine
    expires_at_ms INTEGER,
    finished_at_ms INTEGER,                    -- nothing happens to it any more unless somebody asks
    cancel_asked INTEGER NOT NULL DEFAULT 0,   -- 1: asked; 2: too late
    subject TEXT,                              -- pending actions of one subject may be coalesced
    target_id TEXT,                            -- the client id of what it is about
    carried_by TEXT,                           -- the client id of the action that it was merged into
    digest BLOB NOT NULL,                      -- tells the same action from another under the same client id
    error TEXT,                                -- of the last try, JSON
    result TEXT,                               -- what the handler returned, JSON
    key_id TEXT,                               -- of the key that the payload is sealed with
    payload BLOB                               -- wiped when it is done or cancelled
) STRICT;
CREATE INDEX action_lane ON action (lane_id, in_lane, id);
CREATE INDEX action_due ON action (due_ms) WHERE in_lane = 0 AND due_ms IS NOT NULL;
CREATE INDEX action_finished ON action (state, finished_at_ms) WHERE finished_at_ms IS NOT NULL;
CREATE INDEX action_held ON action (type, version)
    WHERE state IN ('paused', 'uncertain') AND in_lane = 0 AND due_ms IS NULL AND finished_at_ms IS NULL;
CREATE INDEX action_key ON action (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX action_subject ON action (subject) WHERE subject IS NOT NULL AND finished_at_ms IS NULL;
CREATE INDEX action_target ON action (target_id) WHERE target_id IS NOT NULL AND finished_at_ms IS NULL;
CREATE INDEX action_expires ON action (expires_at_ms) WHERE expires_at_ms IS NOT NULL AND finished_at_ms IS NULL;
CREATE INDEX action_cancel ON action (lane_id) WHERE cancel_asked = 1;

-- An action enters its lane when nothing is left here that it needs.
CREATE TABLE dependency (
    action_id INTEGER NOT NULL REFERENCES action ON DELETE CASCADE,
    needs_id INTEGER NOT NULL REFERENCES action ON DELETE CASCADE,
    PRIMARY KEY (action_id, needs_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_needs ON dependency (needs_id);

-- What happened, in the order of commits: a reader that remembers the last `seq` it saw misses nothing. The newest
-- row is never pruned, so that no number comes again.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,                        -- the state an action came into, or what else happened
    was TEXT,                                  -- the state that it came from; NULL: it is new
    client_id TEXT,
    type TEXT,
    lane_id INTEGER,
    account TEXT,
    attempts INTEGER,
    due_ms INTEGER,
    error TEXT,
    result TEXT
) STRICT;

CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many actions are in a state: all of them (type ''), and those of each type; 'open' are those that have not ended.
CREATE TABLE counter (
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0 CHECK (count >= 0),
    PRIMARY KEY (type, state)
) STRICT, WITHOUT ROWID;
INSERT INTO counter (type, state) VALUES ('', 'open'), ('', 'queued'), ('', 'calling'), ('', 'uncertain'), ('', 'retry_wait'),
    ('', 'paused'), ('', 'failed'), ('', 'expired'), ('', 'cancelled'), ('', 'done');

-- No trigger asks `IN` of more than two constants: SQLite builds a table of them each time that one fires. With lists, an
-- action that was done took 100 to 190 us of it, without 18 (2026-11-23, without a disk, 2 cores under load).
CREATE TRIGGER action_added AFTER INSERT ON action BEGIN
    UPDATE counter SET count = count + 1 WHERE type = '' AND state = NEW.state;
    UPDATE counter SET count = count + 1 WHERE type = '' AND state = 'open' AND NEW.state = 'queued';
    INSERT INTO counter VALUES (NEW.type, NEW.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    INSERT INTO event (at_ms, kind, client_id, type, lane_id, attempts, due_ms, result)
        VALUES (NEW.changed_at_ms, NEW.state, NEW.client_id, NEW.type, NEW.lane_id, NEW.attempts, NEW.due_ms, NEW.result);
    UPDATE lane SET due_ms = NEW.due_ms
        WHERE NEW.in_lane = 1 AND id = NEW.lane_id AND due_ms IS NULL AND blocked_by IS NULL;
END;

CREATE TRIGGER action_entered AFTER UPDATE OF in_lane ON action WHEN NEW.in_lane = 1 AND OLD.in_lane = 0 BEGIN
    UPDATE lane SET due_ms = coalesce(NEW.due_ms, 0) WHERE id = NEW.lane_id AND due_ms IS NULL AND blocked_by IS NULL;
    UPDATE action SET entered_fence = (SELECT fence FROM lane WHERE id = NEW.lane_id)
        WHERE id = NEW.id
          AND EXISTS (SELECT 1 FROM lane WHERE id = NEW.lane_id AND owner IS NOT NULL AND claimed_to >= NEW.id);
END;

CREATE TRIGGER action_moved AFTER UPDATE OF state ON action WHEN NEW.state IS NOT OLD.state BEGIN
    UPDATE counter SET count = count - 1 WHERE type = '' AND state = OLD.state;
    UPDATE counter SET count = count + 1 WHERE type = '' AND state = NEW.state;
    UPDATE counter SET count = count - 1 WHERE type = OLD.type AND state = OLD.state;
    INSERT INTO counter VALUES (NEW.type, NEW.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
    INSERT INTO event (at_ms, kind, was, client_id, type, lane_id, attempts, due_ms, error, result)
        VALUES (NEW.changed_at_ms, NEW.state, OLD.state, NEW.client_id, NEW.type, NEW.lane_id, NEW.attempts, NEW.due_ms, NEW.error,
                NEW.result);
END;

CREATE TRIGGER action_ended AFTER UPDATE OF state ON action
WHEN (NEW.state = 'done' OR NEW.state = 'cancelled' OR NEW.state = 'failed' OR NEW.state = 'expired')
     AND NOT (OLD.state = 'done' OR OLD.state = 'cancelled' OR OLD.state = 'failed' OR OLD.state = 'expired') BEGIN
    UPDATE counter SET count = count - 1 WHERE type = '' AND state = 'open';
END;

CREATE TRIGGER action_reopened AFTER UPDATE OF state ON action
WHEN (OLD.state = 'done' OR OLD.state = 'cancelled' OR OLD.state = 'failed' OR OLD.state = 'expired')
     AND NOT (NEW.state = 'done' OR NEW.state = 'cancelled' OR NEW.state = 'failed' OR NEW.state = 'expired') BEGIN
    UPDATE counter SET count = count + 1 WHERE type = '' AND state = 'open';
END;

-- Only what has ended is ever removed.
CREATE TRIGGER action_removed AFTER DELETE ON action BEGIN
    UPDATE counter SET count = count - 1 WHERE type = '' AND state = OLD.state;
    UPDATE counter SET count = count - 1 WHERE type = OLD.type AND state = OLD.state;
END;

CREATE TRIGGER action_done AFTER UPDATE OF state ON action
WHEN NEW.state = 'done' AND EXISTS (SELECT 1 FROM dependency WHERE needs_id = NEW.id) BEGIN
    DELETE FROM dependency WHERE needs_id = NEW.id;
END;

-- What needs an action that will never be done is taken back with it; one that failed may still be retried.
CREATE TRIGGER action_gone AFTER UPDATE OF state ON action
WHEN (NEW.state = 'cancelled' OR NEW.state = 'expired') AND NEW.carried_by IS NULL
     AND EXISTS (SELECT 1 FROM dependency WHERE needs_id = NEW.id) BEGIN
    UPDATE action
    SET state = 'cancelled', in_lane = 0, due_ms = NULL, payload = NULL, key_id = NULL,
        changed_at_ms = NEW.changed_at_ms, finished_at_ms = NEW.changed_at_ms,
        error = '{"kind":"target_gone","code":"needed_action_gone"}'
    WHERE finished_at_ms IS NULL
      AND id IN (WITH RECURSIVE gone (id) AS (
                     SELECT action_id FROM dependency WHERE needs_id = NEW.id
                     UNION
                     SELECT action_id FROM dependency JOIN gone ON needs_id = gone.id)
                 SELECT id FROM gone);
END;

CREATE TRIGGER dependency_met AFTER DELETE ON dependency
WHEN NOT EXISTS (SELECT 1 FROM dependency WHERE action_id = OLD.action_id) BEGIN
    UPDATE action SET in_lane = 1 WHERE id = OLD.action_id AND in_lane = 0 AND due_ms IS NULL AND finished_at_ms IS NULL;
END;

CREATE TRIGGER account_paused AFTER INSERT ON paused_account BEGIN
    UPDATE lane SET paused = paused | 2 WHERE account = NEW.account;
    INSERT INTO event (at_ms, kind, account) VALUES (NEW.since_at_ms, 'session.expired', NEW.account);
END;

CREATE TRIGGER account_resumed AFTER DELETE ON paused_account BEGIN
    UPDATE lane SET paused = paused & ~2 WHERE account = OLD.account;
END;

-- Breaks a batch of statements off when something is not as it was thought to be: INSERT INTO expected SELECT ...
CREATE VIEW expected (holds) AS SELECT 1;
CREATE TRIGGER expected_fails INSTEAD OF INSERT ON expected WHEN NEW.holds IS NOT 1 BEGIN
    SELECT RAISE(ABORT, 'it is not as expected');
END;
