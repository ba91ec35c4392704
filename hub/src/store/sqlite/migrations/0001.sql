-- Rooms, their logs, the blobs bound to them and the cursors of their readers.

CREATE TABLE hub (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- What users said of their seats: the newest statement for each pair.
CREATE TABLE seat (
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    user BLOB NOT NULL CHECK (length(user) = 32),
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    PRIMARY KEY (agent, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE room (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('home')),
    owner BLOB NOT NULL CHECK (length(owner) = 32),
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    opened INTEGER NOT NULL,
    end_seq INTEGER NOT NULL,
    end_log BLOB NOT NULL CHECK (length(end_log) = 32),
    base_seq INTEGER NOT NULL,
    base_log BLOB NOT NULL CHECK (length(base_log) = 32),
    CHECK (base_seq <= end_seq)
) STRICT;
CREATE INDEX room_owner ON room (owner);

-- The log: seq from base_seq + 1 to end_seq, without holes.
CREATE TABLE entry (
    no INTEGER NOT NULL PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES room (no),
    seq INTEGER NOT NULL CHECK (seq > 0),
    log BLOB NOT NULL CHECK (length(log) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    author BLOB NOT NULL CHECK (length(author) = 32),
    n INTEGER NOT NULL CHECK (n > 0),
    received INTEGER NOT NULL,
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    body TEXT,
    UNIQUE (room, seq),
    UNIQUE (room, author, n)
) STRICT;

-- How far each author has counted; it outlives the entries themselves.
CREATE TABLE author (
    room INTEGER NOT NULL REFERENCES room (no),
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    last_n INTEGER NOT NULL CHECK (last_n > 0),
    PRIMARY KEY (room, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    room INTEGER NOT NULL REFERENCES room (no),
    reader TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (agent, room, reader)
) STRICT, WITHOUT ROWID;

-- Bytes on disk. A row is written after the file and its folder are flushed, and deleted before the file is.
CREATE TABLE blob (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    size INTEGER NOT NULL CHECK (size >= 0)
) STRICT, WITHOUT ROWID;

-- Who may read them: the members of the rooms they are bound to. `gone` keeps the binding when the bytes expired.
CREATE TABLE binding (
    room INTEGER NOT NULL REFERENCES room (no),
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    size INTEGER NOT NULL CHECK (size >= 0),
    bound INTEGER NOT NULL,
    used INTEGER NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
    PRIMARY KEY (room, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX binding_blob ON binding (blob, gone);
CREATE INDEX binding_used ON binding (used) WHERE gone = 0;

-- Which entries refer to which blob, for `handoffs` and `find`.
CREATE TABLE reference (
    room INTEGER NOT NULL REFERENCES room (no),
    seq INTEGER NOT NULL,
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    PRIMARY KEY (room, seq, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_blob ON reference (blob, room, seq);
