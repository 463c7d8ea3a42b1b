-- Users as accounts, and the devices on which they are logged in.

-- name: user_named
-- What a login needs; the name as it is stored goes before its small letters. ?1 name, ?2 the same in small letters
SELECT id, name, password_hash, server_role, disabled_at_ms FROM user
WHERE name IN (?1, ?2) ORDER BY name = ?1 DESC LIMIT 1;

-- name: change_password
-- ?1 user, ?2 the hash that was checked, ?3 the new one
UPDATE user SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2 AND disabled_at_ms IS NULL RETURNING id;

-- name: set_password
-- ?1 user, ?2 hash
UPDATE user SET password_hash = ?2 WHERE id = ?1 RETURNING id;

-- name: set_disabled
-- ?1 user, ?2 since when, NULL for not at all
UPDATE user SET disabled_at_ms = ?2 WHERE id = ?1 RETURNING id;

-- name: set_role
-- ?1 user, ?2 role or NULL
UPDATE user SET server_role = ?2 WHERE id = ?1 RETURNING id;

-- name: users
-- All of them, by their names. ?1 after this name, ?2 at most so many, ?3 in small letters, what their names have in them
SELECT CAST(id AS TEXT), name, display_name, server_role, created_at_ms, disabled_at_ms,
       (SELECT count(*) FROM device WHERE device.user_id = user.id),
       (SELECT max(seen_at_ms) FROM device WHERE device.user_id = user.id)
FROM user WHERE name > ?1 AND (instr(name, ?3) OR instr(lower(display_name), ?3)) ORDER BY name LIMIT ?2;

-- name: new_device
-- Log a device in, if the password is still the one that was checked.
-- ?1 user, ?2 the hash that was checked, ?3 label, ?4 family, ?5 refresh token, ?6 access token (their hashes),
-- ?7 when that expires, ?8 when the refresh token does, ?9 now
INSERT INTO device (user_id, label, family_hash, refresh_hash, access_hash, access_expires_at_ms, refresh_expires_at_ms,
                    created_at_ms, seen_at_ms)
SELECT id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9 FROM user WHERE id = ?1 AND password_hash = ?2 AND disabled_at_ms IS NULL
RETURNING id;

-- name: end_oldest_devices
-- All but the newest, and of the others those that were seen last. ?1 user, ?2 how many others stay
DELETE FROM device
WHERE user_id = ?1 AND id < (SELECT max(id) FROM device WHERE user_id = ?1)
  AND id NOT IN (SELECT id FROM device WHERE user_id = ?1 AND id < (SELECT max(id) FROM device WHERE user_id = ?1)
                 ORDER BY seen_at_ms DESC, id DESC LIMIT ?2)
RETURNING id;

-- name: device_of_family
-- ?1 hash of the family
SELECT device.id, user_id, refresh_hash, previous_hash, refresh_expires_at_ms, name, server_role
FROM device JOIN user ON user.id = device.user_id
WHERE family_hash = ?1;

-- name: renew_device
-- ?1 device, ?2 the present refresh token, ?3 the one that was shown, ?4 the new one, ?5 the new access token (hashes),
-- ?6 when that expires, ?7 when the refresh token does, ?8 now
UPDATE device SET refresh_hash = ?4, previous_hash = ?3, access_hash = ?5, access_expires_at_ms = ?6,
                  refresh_expires_at_ms = ?7, seen_at_ms = ?8
WHERE id = ?1 AND refresh_hash = ?2
RETURNING id;

-- name: end_device
-- ?1 user, ?2 device
DELETE FROM device WHERE user_id = ?1 AND id = ?2 RETURNING id;

-- name: end_devices
-- ?1 user, ?2 the device that stays, 0 for none
DELETE FROM device WHERE user_id = ?1 AND id <> ?2 RETURNING id;

-- name: forget_devices
-- Those that did not come back in time. ?1 now
DELETE FROM device WHERE refresh_expires_at_ms <= ?1 RETURNING id, user_id;

-- name: held_devices
-- For memory. ?1 after this id, ?2 now, ?3 at most so many
SELECT device.id, user_id, name, server_role, access_hash, access_expires_at_ms, previous_hash IS NULL
FROM device JOIN user ON user.id = device.user_id
WHERE device.id > ?1 AND refresh_expires_at_ms > ?2 ORDER BY device.id LIMIT ?3;

-- name: devices
-- ?1 user, ?2 the device that asks, ?3 now
SELECT json_object('devices', json_group_array(json_object(
           'id', CAST(id AS TEXT), 'label', label, 'created_at_ms', created_at_ms, 'seen_at_ms', seen_at_ms,
           'is_this', json(iif(id = ?2, 'true', 'false'))) ORDER BY seen_at_ms DESC, id DESC))
FROM device WHERE user_id = ?1 AND refresh_expires_at_ms > ?3;
