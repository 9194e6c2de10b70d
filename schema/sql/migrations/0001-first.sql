-- SPDX-License-Identifier: Apache-2.0
-- The encrypted store, version 1.
--
-- `entry` is the truth; every other table but `meta`, `compartment_key`,
-- `segment`, `receipt` and `checkpoint` is derived from it by the fold and can
-- be built again.  Identifiers are 16 random bytes, hashes 32.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Every stream that is known, our own ones included.  head_* is the end of the
-- unbroken run held here, which only our own streams and a hub's view have.
CREATE TABLE stream (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    device BLOB NOT NULL CHECK (length(device) = 16),
    person BLOB NOT NULL CHECK (length(person) = 16),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    own INTEGER NOT NULL CHECK (own IN (0, 1)),
    hub INTEGER NOT NULL CHECK (hub IN (0, 1)),
    head_seq INTEGER NOT NULL DEFAULT 0,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),
    accepted_seq INTEGER NOT NULL DEFAULT 0,
    accepted_hash BLOB CHECK (length(accepted_hash) = 32),
    frozen_from INTEGER, -- first number that a fork puts in doubt
    cut_seq INTEGER,
    fetched_commit BLOB CHECK (length(fetched_commit) = 20)
) STRICT;
CREATE INDEX stream_by_device ON stream (device, number);

-- state: applied, waiting (for a key or for entries it builds on),
-- quarantined (kept, not believed).  One (stream, seq) may appear twice: a fork
-- is kept with both halves.
CREATE TABLE entry (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    stream INTEGER NOT NULL REFERENCES stream (number),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    kind INTEGER NOT NULL,
    key_id BLOB CHECK (length(key_id) = 16),
    -- the candidate that opened it, where more than one has its key_id
    key INTEGER REFERENCES compartment_key (number),
    case_id BLOB CHECK (length(case_id) = 16),
    received_ms INTEGER NOT NULL,
    log_index INTEGER,
    state TEXT NOT NULL CHECK (state IN ('applied', 'waiting', 'quarantined')),
    reason TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX entry_by_stream ON entry (stream, seq);
CREATE INDEX entry_by_case ON entry (case_id, number) WHERE case_id IS NOT NULL;
CREATE UNIQUE INDEX entry_by_log ON entry (log_index)
    WHERE log_index IS NOT NULL;
CREATE INDEX entry_unlogged ON entry (number) WHERE log_index IS NULL;
CREATE INDEX entry_waiting ON entry (key_id, number) WHERE state = 'waiting';
CREATE INDEX entry_quarantined ON entry (number) WHERE state = 'quarantined';
CREATE INDEX entry_by_kind ON entry (kind, number) WHERE kind <> 1;
CREATE INDEX entry_by_key ON entry (key_id, number) WHERE key_id IS NOT NULL;
CREATE INDEX entry_by_opener ON entry (key) WHERE key IS NOT NULL;

-- What the hub passed on and this version cannot read, verbatim.
CREATE TABLE unread_entry (
    number INTEGER PRIMARY KEY,
    log_index INTEGER NOT NULL UNIQUE,
    received_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- One epoch of one compartment's key, as somebody brought it.  Anybody may
-- bring bytes under any key_id, so several rows may claim one: the commitment
-- of an entry says whose is its key.  number grows with receipt.  person is
-- zero outside V and O, and case_id is zero for the realm's own key.
CREATE TABLE compartment_key (
    number INTEGER PRIMARY KEY,
    key_id BLOB NOT NULL CHECK (length(key_id) = 16),
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    class TEXT NOT NULL CHECK (length(class) = 1),
    person BLOB NOT NULL CHECK (length(person) = 16),
    key BLOB NOT NULL CHECK (length(key) = 32),
    made_here INTEGER NOT NULL CHECK (made_here IN (0, 1)),
    -- person from whom it came; at a hub, who may speak for the case
    bringer BLOB NOT NULL CHECK (length(bringer) = 16),
    -- 0: the bringer may not speak for the compartment, or not yet
    admitted INTEGER NOT NULL CHECK (admitted IN (0, 1)),
    acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged IN (0, 1)),
    UNIQUE (key_id, bringer, case_id, class, person, key)
) STRICT;
CREATE INDEX compartment_key_by_case
    ON compartment_key (case_id, class, person, number);
CREATE INDEX compartment_key_to_send ON compartment_key (number)
    WHERE made_here = 1 AND acknowledged = 0;
CREATE INDEX compartment_key_unadmitted ON compartment_key (bringer, number)
    WHERE admitted = 0;

-- One row a case: what lists need without folding.
CREATE TABLE case_file (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    reference TEXT NOT NULL DEFAULT '',
    stage TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '',
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    entries INTEGER NOT NULL DEFAULT 0,
    conflicts INTEGER NOT NULL DEFAULT 0,
    tasks INTEGER NOT NULL DEFAULT 0,
    summary TEXT NOT NULL DEFAULT '{}',
    changed INTEGER NOT NULL DEFAULT 0 CHECK (changed IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX case_file_by_reference ON case_file (reference, id);
CREATE INDEX case_file_changed ON case_file (id) WHERE changed = 1;

-- Records as the folded case has them.  Ids are their writers' choice: the same
-- one may stand in another case as well.
CREATE TABLE record (
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    type TEXT NOT NULL,
    about BLOB NOT NULL CHECK (length(about) = 16),
    label TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (case_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_by_id ON record (id, case_id);

CREATE TABLE conflict (
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    document TEXT NOT NULL,
    PRIMARY KEY (case_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conflict_by_id ON conflict (id, case_id);

CREATE TABLE task (
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    document TEXT NOT NULL,
    PRIMARY KEY (case_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_by_id ON task (id, case_id);

-- The roster as it stands: people, devices, who may read what.
CREATE TABLE person (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    roles TEXT NOT NULL,
    name TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    person BLOB NOT NULL CHECK (length(person) = 16),
    signing_key BLOB NOT NULL UNIQUE CHECK (length(signing_key) = 32),
    sealing_key BLOB NOT NULL CHECK (length(sealing_key) = 32),
    certificate BLOB NOT NULL CHECK (length(certificate) = 64),
    hub INTEGER NOT NULL CHECK (hub IN (0, 1)),
    revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
    -- what a hub remembers of its exchange with this device
    outbox_commit BLOB CHECK (length(outbox_commit) = 20),
    outbox_log_index INTEGER NOT NULL DEFAULT 0,
    receipt_size INTEGER NOT NULL DEFAULT 0,
    receipt_seq INTEGER NOT NULL DEFAULT 0,
    mail_version_in INTEGER NOT NULL DEFAULT 0,
    mail_version_out INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_person ON device (person, id);

CREATE TABLE permission (
    person BLOB NOT NULL CHECK (length(person) = 16),
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    classes TEXT NOT NULL,
    PRIMARY KEY (person, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX permission_by_case ON permission (case_id, person);

-- Entries that a device may read but that were not yet put in its outbox
-- because the permission came after the entry.
CREATE TABLE outbox_backlog (
    device BLOB NOT NULL CHECK (length(device) = 16),
    entry INTEGER NOT NULL REFERENCES entry (number),
    PRIMARY KEY (device, entry)
) STRICT, WITHOUT ROWID;

-- Runs of our own entries whose boundaries are fixed for ever.
CREATE TABLE segment (
    stream INTEGER NOT NULL REFERENCES stream (number),
    first_seq INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 1),
    commit_id BLOB CHECK (length(commit_id) = 20),
    pushed INTEGER NOT NULL DEFAULT 0 CHECK (pushed IN (0, 1)),
    PRIMARY KEY (stream, first_seq)
) STRICT, WITHOUT ROWID;

-- Checkpoints of the hub's log that were verified, and receipts as received.
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE receipt (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- Complete subtrees of the hub's own log, so that a leaf is hashed once.
CREATE TABLE log_hash (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;
