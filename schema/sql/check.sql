-- SPDX-License-Identifier: Apache-2.0
-- The statements of a check and of a repair, by name.

-- name: check_integrity
PRAGMA integrity_check(100);

-- name: check_references
PRAGMA foreign_key_check;

-- name: check_schema
SELECT name, type, coalesce(sql, '') FROM sqlite_schema
WHERE name NOT GLOB 'sqlite_stat*' ORDER BY name;

-- name: check_schema_find
SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE name = :name;

-- name: check_entry_list
SELECT seq, number FROM entry
WHERE stream = :stream AND (seq, number) > (:seq, :number)
ORDER BY seq, number LIMIT 256;

-- name: check_entry
SELECT hash, seq, kind, key_id, key, case_id, log_index, state, bytes
FROM entry WHERE number = :number;

-- name: check_entry_end
SELECT coalesce(max(number), 0) FROM entry;

-- name: check_entry_log
SELECT count(*), coalesce(max(log_index), -1) FROM entry
WHERE log_index IS NOT NULL;

-- name: check_unread
SELECT count(*) FROM unread_entry;

-- name: check_segments
SELECT first_seq, count FROM segment WHERE stream = :stream
ORDER BY first_seq;

-- name: check_stream_restore
UPDATE stream SET device = :device, person = :person,
                  public_key = :public_key, hub = :hub
WHERE number = :number;

-- name: check_key_count
SELECT count(*) FROM compartment_key;

-- name: check_key_realm
SELECT 1 FROM compartment_key
WHERE key_id = :key_id AND admitted = 1 AND case_id = zeroblob(16) LIMIT 1;

-- name: check_key_admitted
SELECT admitted FROM compartment_key WHERE number = :number;

-- name: check_roster_entries
SELECT number, bytes, key FROM entry
WHERE kind = 2 AND state = 'applied' AND number > :after
ORDER BY number LIMIT 1;

-- name: check_roster_forget
DELETE FROM permission;

-- name: check_person_forget
UPDATE person SET roles = '[]', name = '' WHERE id <> :own;

-- name: check_person_void
DELETE FROM person WHERE roles = '[]' AND name = '';

-- name: check_person
SELECT id, roles, name FROM person WHERE roles <> '[]' OR name <> ''
ORDER BY id;

-- name: check_permission
SELECT person, case_id, classes FROM permission ORDER BY person, case_id;

-- name: check_device
SELECT id, person, signing_key, sealing_key, certificate, hub FROM device
ORDER BY id;

-- name: check_device_restore
UPDATE device SET person = :person, signing_key = :signing_key,
                  sealing_key = :sealing_key, certificate = :certificate,
                  hub = :hub
WHERE id = :id;

-- name: check_cases
SELECT case_id FROM (SELECT id AS case_id FROM case_file WHERE id > :after
                     ORDER BY id LIMIT 1)
UNION
SELECT case_id FROM (SELECT case_id FROM entry
                     WHERE case_id > :after AND case_id IS NOT NULL
                     ORDER BY case_id LIMIT 1)
UNION
SELECT case_id FROM (SELECT case_id FROM record WHERE case_id > :after
                     ORDER BY case_id LIMIT 1)
UNION
SELECT case_id FROM (SELECT case_id FROM conflict WHERE case_id > :after
                     ORDER BY case_id LIMIT 1)
UNION
SELECT case_id FROM (SELECT case_id FROM task WHERE case_id > :after
                     ORDER BY case_id LIMIT 1)
ORDER BY case_id LIMIT 1;

-- name: check_case_file
SELECT id, reference, stage, state, fingerprint, entries, conflicts, tasks,
       summary
FROM case_file WHERE id = :case_id;

-- While a store writes to a case the fingerprint, and the number of entries with
-- it, are left for the end.
-- name: check_case_file_open
SELECT id, reference, stage, state, conflicts, tasks, summary
FROM case_file WHERE id = :case_id;

-- name: check_case_changed
SELECT changed, fingerprint = zeroblob(32) FROM case_file WHERE id = :case_id;

-- name: check_case_forget
DELETE FROM case_file WHERE id = :case_id;

-- name: check_record
SELECT id, type, about, label FROM record WHERE case_id = :case_id ORDER BY id;

-- name: check_conflict
SELECT id, document FROM conflict WHERE case_id = :case_id ORDER BY id;

-- name: check_task
SELECT id, document FROM task WHERE case_id = :case_id ORDER BY id;
