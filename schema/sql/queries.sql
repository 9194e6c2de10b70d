-- SPDX-License-Identifier: Apache-2.0
-- Every statement of the store, by name.  Parameters are bound by name.

-- name: meta_get
SELECT value FROM meta WHERE name = :name;

-- name: meta_delete
DELETE FROM meta WHERE name = :name;

-- name: meta_put
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: transaction_begin
BEGIN IMMEDIATE;

-- name: transaction_commit
COMMIT;

-- name: savepoint_begin
SAVEPOINT part;

-- name: savepoint_rollback
ROLLBACK TO part;

-- name: savepoint_release
RELEASE part;

-- name: stream_insert
INSERT INTO stream (id, device, person, public_key, own, hub, head_hash)
VALUES (:id, :device, :person, :public_key, :own, :hub, zeroblob(32));

-- name: stream_find
SELECT number, id, device, person, public_key, own, head_seq, head_hash,
       accepted_seq, frozen_from, cut_seq, fetched_commit, hub
FROM stream WHERE id = :id;

-- name: stream_list
SELECT number, id, device, person, public_key, own, head_seq, head_hash,
       accepted_seq, frozen_from, cut_seq, fetched_commit, hub
FROM stream WHERE id > :after ORDER BY id LIMIT 1;

-- name: stream_by_number
SELECT id, person, device FROM stream WHERE number = :number;

-- name: stream_head
UPDATE stream SET head_seq = :seq, head_hash = :hash WHERE number = :number;

-- name: stream_freeze
UPDATE stream SET frozen_from = min(coalesce(frozen_from, :from), :from)
WHERE number = :number;

-- name: stream_cut
UPDATE stream SET cut_seq = :seq WHERE id = :id;

-- name: stream_fetched
UPDATE stream SET fetched_commit = :commit WHERE id = :id;

-- name: stream_accepted
UPDATE stream SET accepted_seq = :seq, accepted_hash = :hash
WHERE id = :id AND accepted_seq < :seq;

-- name: entry_insert
INSERT INTO entry (hash, stream, seq, kind, key_id, key, case_id, received_ms,
                   log_index, state, reason, bytes)
VALUES (:hash, :stream, :seq, :kind, :key_id, :key, :case_id, :received_ms,
        :log_index, :state, :reason, :bytes);

-- name: entry_by_hash
SELECT number, state, log_index, seq FROM entry WHERE hash = :hash;

-- name: entry_at
SELECT number FROM entry WHERE stream = :stream AND seq = :seq LIMIT 1;

-- name: entry_hash_at
SELECT hash FROM entry WHERE stream = :stream AND seq = :seq;

-- name: entry_state
UPDATE entry SET state = :state, reason = :reason, case_id = :case_id,
                 key = :key
WHERE number = :number;

-- name: unread_add
INSERT INTO unread_entry (log_index, received_ms, reason, bytes)
VALUES (:log_index, :received_ms, :reason, :bytes)
ON CONFLICT DO NOTHING;

-- name: entry_logged
UPDATE entry SET log_index = :log_index WHERE number = :number;

-- name: entry_of_case
SELECT entry.number, entry.bytes, entry.received_ms, entry.key, stream.person
FROM entry JOIN stream ON stream.number = entry.stream
WHERE entry.case_id = :case_id AND entry.state = 'applied'
ORDER BY entry.number;

-- name: entry_count_of_case
SELECT count(*) FROM entry WHERE case_id = :case_id AND state = 'applied';

-- The first of each stream, then the second of each, and so on.
-- name: entry_of_case_part
SELECT entry.number, entry.bytes, entry.received_ms, entry.key, stream.person
FROM (SELECT number, hash,
             row_number() OVER (PARTITION BY stream ORDER BY seq, hash) AS turn
      FROM entry WHERE case_id = :case_id AND state = 'applied') AS ranked
JOIN entry ON entry.number = ranked.number
JOIN stream ON stream.number = entry.stream
ORDER BY ranked.turn, ranked.hash LIMIT :limit;

-- name: entry_times_of_case
SELECT bytes, received_ms, coalesce(log_index, -1) FROM entry
WHERE case_id = :case_id AND state = 'applied' ORDER BY number;

-- name: entry_of_stream
SELECT bytes, seq FROM entry
WHERE stream = :stream AND seq >= :first AND seq < :end
      AND state <> 'quarantined'
ORDER BY seq;

-- name: entry_sizes
SELECT seq, length(bytes) FROM entry
WHERE stream = :stream AND seq >= :first ORDER BY seq;

-- name: entry_waiting_for_key
SELECT number, bytes FROM entry
WHERE key_id = :key_id AND number > :after
      AND (state = 'waiting'
           OR (state = 'quarantined' AND reason = :reason))
ORDER BY number LIMIT 1;

-- name: entry_unlogged
SELECT number FROM entry
WHERE log_index IS NULL AND state <> 'quarantined' AND number > :after
ORDER BY number LIMIT 1;

-- name: entry_log_end
SELECT max(log_index) FROM entry WHERE log_index IS NOT NULL;

-- name: entry_of_log
SELECT bytes, log_index FROM entry
WHERE log_index >= :first AND log_index < :end ORDER BY log_index;

-- name: entry_position
SELECT entry.log_index, entry.hash
FROM stream JOIN entry ON entry.stream = stream.number
WHERE stream.id = :stream AND entry.seq = :seq
      AND entry.log_index IS NOT NULL
ORDER BY entry.log_index LIMIT 1;

-- name: entry_quarantined_of_stream
SELECT entry.seq, entry.hash, entry.reason
FROM stream JOIN entry ON entry.stream = stream.number
WHERE stream.id = :stream AND entry.state = 'quarantined'
ORDER BY entry.seq, entry.number;

-- name: entry_counts
SELECT (SELECT count(*) FROM entry WHERE state = 'waiting'),
       (SELECT count(*) FROM entry WHERE state = 'quarantined')
       + (SELECT count(*) FROM unread_entry);

-- name: entry_for_outbox
SELECT entry.number, entry.bytes, entry.log_index
FROM entry JOIN stream ON stream.number = entry.stream
WHERE entry.log_index >= :first AND entry.log_index < :end
      AND stream.device <> :device
      AND (entry.key_id IS NULL
           OR (entry.key_id = :realm_key AND entry.key IS NOT NULL)
           OR EXISTS (SELECT 1 FROM compartment_key AS held
                      JOIN permission
                        ON permission.case_id = held.case_id
                       AND permission.person = :person
                      WHERE held.number = entry.key
                        AND instr(permission.classes, held.class) > 0))
ORDER BY entry.log_index;

-- name: outbox_backlog_add
INSERT OR IGNORE INTO outbox_backlog (device, entry)
SELECT device.id, entry.number
FROM compartment_key AS held
JOIN entry ON entry.key = held.number
JOIN stream ON stream.number = entry.stream
JOIN device ON device.person = :person AND device.id <> stream.device
WHERE held.case_id = :case_id AND instr(:classes, held.class) > 0
      AND entry.log_index IS NOT NULL
      AND entry.log_index < device.outbox_log_index;

-- name: outbox_backlog_add_key
INSERT OR IGNORE INTO outbox_backlog (device, entry)
SELECT device.id, entry.number
FROM entry
JOIN stream ON stream.number = entry.stream
JOIN permission ON permission.case_id = :case_id
               AND instr(permission.classes, :class) > 0
JOIN device ON device.person = permission.person
           AND device.id <> stream.device
WHERE entry.key = :key AND entry.log_index IS NOT NULL
      AND entry.log_index < device.outbox_log_index;

-- name: outbox_backlog_list
SELECT entry.bytes, entry.log_index
FROM outbox_backlog JOIN entry ON entry.number = outbox_backlog.entry
WHERE outbox_backlog.device = :device
      AND EXISTS (SELECT 1 FROM compartment_key AS held
                  JOIN permission
                    ON permission.case_id = held.case_id
                   AND permission.person = :person
                  WHERE held.number = entry.key
                    AND instr(permission.classes, held.class) > 0)
ORDER BY outbox_backlog.entry;

-- name: outbox_backlog_clear
DELETE FROM outbox_backlog WHERE device = :device;

-- name: key_insert
INSERT INTO compartment_key (key_id, case_id, class, person, key, made_here,
                             bringer, admitted)
VALUES (:key_id, :case_id, :class, :person, :key, :made_here, :bringer,
        :admitted)
ON CONFLICT DO NOTHING;

-- name: key_held
SELECT number FROM compartment_key
WHERE key_id = :key_id AND case_id = :case_id AND class = :class
      AND person = :person AND key = :key LIMIT 1;

-- name: key_of_bringer
SELECT number FROM compartment_key
WHERE key_id = :key_id AND bringer = :bringer LIMIT 1;

-- name: key_unadmitted
SELECT number, key_id, case_id, class, person FROM compartment_key
WHERE admitted = 0 AND bringer = :bringer AND number > :after
      AND (:case_id IS NULL OR case_id = :case_id)
ORDER BY number LIMIT 1;

-- name: key_admit
UPDATE compartment_key SET admitted = 1 WHERE number = :number;

-- name: key_of_others
SELECT 1 FROM compartment_key
WHERE case_id = :case_id AND bringer <> :bringer AND admitted = 1 LIMIT 1;

-- name: key_find
SELECT case_id, class, person, key, number FROM compartment_key
WHERE key_id = :key_id AND admitted = 1
ORDER BY made_here DESC, number LIMIT 1;

-- name: key_by_number
SELECT case_id, class, person, key, number FROM compartment_key
WHERE number = :number;

-- Those first that the author of the entry brought.
-- name: key_candidates
SELECT case_id, class, person, key, number, admitted FROM compartment_key
WHERE key_id = :key_id
ORDER BY admitted DESC, bringer = :author DESC, number;

-- name: key_of_compartment
SELECT key_id, number FROM compartment_key
WHERE case_id = :case_id AND class = :class AND person = :person
      AND admitted = 1
ORDER BY made_here DESC, number DESC LIMIT 1;

-- name: key_unacknowledged
SELECT key_id, case_id, class, person, key FROM compartment_key
WHERE made_here = 1 AND acknowledged = 0 ORDER BY number;

-- Of the keys under which something stands: so a keyring cannot be filled up
-- with keys alone.
-- name: key_for_person
SELECT held.key_id, held.case_id, held.class, held.person, held.key
FROM permission JOIN compartment_key AS held
  ON held.case_id = permission.case_id
WHERE permission.person = :person AND held.admitted = 1
      AND instr(permission.classes, held.class) > 0
      AND EXISTS (SELECT 1 FROM entry WHERE entry.key = held.number)
ORDER BY held.number;

-- A key is made with the first entry that it seals.
-- name: key_acknowledge
UPDATE compartment_key SET acknowledged = 1
WHERE made_here = 1 AND acknowledged = 0
      AND EXISTS (SELECT 1 FROM entry JOIN stream
                  ON stream.number = entry.stream
                  WHERE entry.key = compartment_key.number
                    AND stream.own = 1
                    AND (entry.stream <> :stream OR entry.seq <= :seq));

-- name: key_doubt
UPDATE compartment_key SET acknowledged = 0
WHERE made_here = 1 AND acknowledged = 1;

-- name: case_touch
INSERT INTO case_file (id, fingerprint, changed)
VALUES (:id, zeroblob(32), 1)
ON CONFLICT (id) DO UPDATE SET changed = 1;

-- name: case_touch_of_author
UPDATE case_file SET changed = 1
WHERE id IN (SELECT entry.case_id
             FROM stream JOIN entry ON entry.stream = stream.number
             WHERE stream.person = :person AND entry.case_id IS NOT NULL);

-- name: case_changed
SELECT id FROM case_file WHERE changed = 1 ORDER BY id;

-- name: case_settle
UPDATE case_file
SET reference = :reference, stage = :stage, state = :state,
    fingerprint = :fingerprint, entries = :entries, conflicts = :conflicts,
    tasks = :tasks, summary = :summary, changed = 0
WHERE id = :id;

-- Where nothing else is new; 32 zeroes: both are to be taken when asked for.
-- name: case_advance
UPDATE case_file SET fingerprint = :fingerprint, entries = :entries
WHERE id = :id;

-- name: case_unsettled
UPDATE case_file
SET state = CASE WHEN substr(state, 1, length(:prefix)) = :prefix THEN state
                 ELSE :prefix || state END,
    changed = 0
WHERE id = :id;

-- name: case_find
SELECT reference, conflicts FROM case_file WHERE id = :id;

-- name: case_by_reference
SELECT id FROM case_file WHERE reference = :reference ORDER BY id LIMIT 2;

-- name: case_by_prefix
SELECT id FROM case_file WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: case_last_reference
SELECT max(reference) FROM case_file
WHERE reference >= :low AND reference < :high;

-- name: case_list
SELECT id, reference, stage, state, conflicts, tasks, entries, fingerprint,
       summary
FROM case_file ORDER BY reference, id;

-- name: case_counts
SELECT count(*), coalesce(sum(conflicts), 0), coalesce(sum(tasks), 0)
FROM case_file;

-- name: record_add
INSERT INTO record (id, case_id, type, about, label)
VALUES (:id, :case_id, :type, :about, :label)
ON CONFLICT (case_id, id) DO UPDATE
SET type = excluded.type, about = excluded.about, label = excluded.label
WHERE type <> excluded.type OR about <> excluded.about
      OR label <> excluded.label;

-- name: record_clear
DELETE FROM record WHERE case_id = :case_id;

-- name: record_find
SELECT case_id, type, label, about FROM record
WHERE id = :id ORDER BY case_id = :case_id DESC, case_id LIMIT 2;

-- name: record_by_prefix
SELECT id, case_id, type FROM record
WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: conflict_clear
DELETE FROM conflict WHERE case_id = :case_id;

-- name: conflict_add
INSERT OR REPLACE INTO conflict (id, case_id, document)
VALUES (:id, :case_id, :document);

-- name: conflict_by_prefix
SELECT id, case_id FROM conflict
WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: conflict_of_case
SELECT conflict.document, case_file.reference, conflict.case_id
FROM conflict JOIN case_file ON case_file.id = conflict.case_id
WHERE conflict.case_id = :case_id ORDER BY conflict.id;

-- name: conflict_list
SELECT conflict.document, case_file.reference, conflict.case_id
FROM case_file JOIN conflict ON conflict.case_id = case_file.id
ORDER BY case_file.reference, conflict.id;

-- name: task_clear
DELETE FROM task WHERE case_id = :case_id;

-- name: task_add
INSERT OR REPLACE INTO task (id, case_id, document)
VALUES (:id, :case_id, :document);

-- name: task_by_prefix
SELECT id, case_id FROM task
WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: task_of_case
SELECT task.document, case_file.reference, task.case_id
FROM task JOIN case_file ON case_file.id = task.case_id
WHERE task.case_id = :case_id ORDER BY task.id;

-- name: task_list
SELECT task.document, case_file.reference, task.case_id
FROM case_file JOIN task ON task.case_id = case_file.id
ORDER BY case_file.reference, task.id;

-- name: person_put
INSERT INTO person (id, roles) VALUES (:id, :roles)
ON CONFLICT (id) DO UPDATE SET roles = excluded.roles;

-- name: person_name
INSERT INTO person (id, roles, name) VALUES (:id, '[]', :name)
ON CONFLICT (id) DO UPDATE SET name = excluded.name;

-- name: person_find
SELECT roles, name FROM person WHERE id = :id;

-- name: person_list
SELECT id, roles, name FROM person ORDER BY name, id;

-- name: person_device_list
SELECT device.id, device.hub, device.revoked, stream.id, stream.head_seq
FROM device LEFT JOIN stream ON stream.device = device.id
WHERE device.person = :person ORDER BY device.id, stream.number;

-- name: person_by_prefix
SELECT id FROM person WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: person_by_name
SELECT id FROM person WHERE name = :name COLLATE NOCASE ORDER BY id LIMIT 2;

-- name: device_put
INSERT INTO device (id, person, signing_key, sealing_key, certificate, hub)
VALUES (:id, :person, :signing_key, :sealing_key, :certificate, :hub)
ON CONFLICT DO NOTHING;

-- name: device_find
SELECT id, person, signing_key, sealing_key, hub, revoked, outbox_commit,
       outbox_log_index, receipt_size, receipt_seq, mail_version_in,
       mail_version_out
FROM device WHERE id = :id;

-- name: device_by_key
SELECT id, person FROM device WHERE signing_key = :signing_key;

-- name: device_by_prefix
SELECT person FROM device WHERE id >= :low AND id <= :high ORDER BY id LIMIT 2;

-- name: device_list
SELECT id, person, signing_key, sealing_key, hub, revoked, outbox_commit,
       outbox_log_index, receipt_size, receipt_seq, mail_version_in,
       mail_version_out
FROM device WHERE id > :after ORDER BY id LIMIT 1;

-- name: device_remember
UPDATE device
SET outbox_commit = :outbox_commit, outbox_log_index = :outbox_log_index,
    receipt_size = :receipt_size, receipt_seq = :receipt_seq,
    mail_version_in = :mail_version_in, mail_version_out = :mail_version_out
WHERE id = :id;

-- name: permission_put
INSERT INTO permission (person, case_id, classes)
VALUES (:person, :case_id, :classes)
ON CONFLICT (person, case_id) DO UPDATE SET classes = excluded.classes;

-- name: permission_find
SELECT classes FROM permission WHERE person = :person AND case_id = :case_id;

-- name: permission_missing
SELECT case_file.id, stream.person
FROM case_file
JOIN entry ON entry.number =
     (SELECT first.number FROM entry AS first
      WHERE first.case_id = case_file.id AND first.state = 'applied'
      ORDER BY first.number LIMIT 1)
JOIN stream ON stream.number = entry.stream
WHERE case_file.changed = 1
      AND NOT EXISTS (SELECT 1 FROM permission
                  WHERE permission.case_id = case_file.id
                    AND permission.person = stream.person)
      AND stream.person <> :person
ORDER BY case_file.id LIMIT 100;

-- name: segment_last
SELECT first_seq + count FROM segment WHERE stream = :stream
ORDER BY first_seq DESC LIMIT 1;

-- name: segment_add
INSERT INTO segment (stream, first_seq, count)
VALUES (:stream, :first_seq, :count);

-- name: segment_next
SELECT first_seq, count, commit_id, pushed FROM segment
WHERE stream = :stream AND first_seq >= :first_seq ORDER BY first_seq LIMIT 1;

-- name: segment_commit
UPDATE segment SET commit_id = :commit_id
WHERE stream = :stream AND first_seq = :first_seq;

-- name: segment_pushed
UPDATE segment SET pushed = 1
WHERE stream = :stream AND first_seq = :first_seq;

-- name: segment_pushed_end
SELECT first_seq + count FROM segment
WHERE stream = :stream AND pushed = 1 ORDER BY first_seq DESC LIMIT 1;

-- name: checkpoint_put
INSERT OR IGNORE INTO checkpoint (size, root, note, received_ms)
VALUES (:size, :root, :note, :received_ms);

-- name: checkpoint_find
SELECT size, root, note FROM checkpoint WHERE size <= :size
ORDER BY size DESC LIMIT 1;

-- name: receipt_put
INSERT INTO receipt (size, received_ms, document)
VALUES (:size, :received_ms, :document);

-- name: log_hash_get
SELECT hash FROM log_hash WHERE level = :level AND position = :position;

-- name: log_hash_put
INSERT OR IGNORE INTO log_hash (level, position, hash)
VALUES (:level, :position, :hash);
