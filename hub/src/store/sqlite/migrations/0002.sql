-- Sessions: owners' acts in the log, who is in a room besides its owner, session keys, and who asks to join.

-- SQLite cannot change a CHECK: tables are made anew, filled, and take the place of the old ones. The migration runs
-- without foreign keys and looks for broken ones before it commits.
CREATE TABLE new_room (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('home', 'session')),
    owner BLOB NOT NULL CHECK (length(owner) = 32),
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    opened INTEGER NOT NULL,
    end_seq INTEGER NOT NULL,
    end_log BLOB NOT NULL CHECK (length(end_log) = 32),
    base_seq INTEGER NOT NULL,
    base_log BLOB NOT NULL CHECK (length(base_log) = 32),
    -- The entry that closed it.
    closed INTEGER,
    CHECK (base_seq <= end_seq)
) STRICT;
INSERT INTO new_room SELECT *, NULL FROM room;
DROP TABLE room;
ALTER TABLE new_room RENAME TO room;
CREATE INDEX room_owner ON room (owner);

-- The log: seq from base_seq + 1 to end_seq, without holes. Below the base only the chain is kept: owners' acts, by which
-- `author` is the owner and `n` the place in the chain, and the headers of messages by which members left.
CREATE TABLE new_entry (
    no INTEGER NOT NULL PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES room (no),
    seq INTEGER NOT NULL CHECK (seq > 0),
    log BLOB NOT NULL CHECK (length(log) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('message', 'membership')),
    chain INTEGER NOT NULL CHECK (chain IN (0, 1) AND (chain = 1 OR kind = 'message')),
    author BLOB NOT NULL CHECK (length(author) = 32),
    n INTEGER NOT NULL CHECK (n > 0),
    received INTEGER NOT NULL,
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    body TEXT CHECK (body IS NULL OR kind = 'message'),
    UNIQUE (room, seq)
) STRICT;
INSERT INTO new_entry
    SELECT no, room, seq, log, digest, 'message', 0, author, n, received, bytes, sig, body FROM entry;
DROP TABLE entry;
ALTER TABLE new_entry RENAME TO entry;
CREATE UNIQUE INDEX entry_message ON entry (room, author, n) WHERE kind = 'message';
CREATE UNIQUE INDEX entry_act ON entry (room, n) WHERE kind = 'membership';
CREATE INDEX entry_chain ON entry (room, seq) WHERE chain = 1;

-- Who is in a room as `protocol::room` tells it, as JSON; none before the first act.
CREATE TABLE members (
    room INTEGER NOT NULL PRIMARY KEY REFERENCES room (no),
    members TEXT NOT NULL
) STRICT;

-- The same, agent by agent, for the guard: what acts and leaves say of it now.
CREATE TABLE standing (
    room INTEGER NOT NULL REFERENCES room (no),
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    member INTEGER NOT NULL CHECK (member IN (0, 1)),
    -- The point of the log above which a member may read.
    floor INTEGER NOT NULL CHECK (floor >= 0),
    floor_log BLOB NOT NULL CHECK (length(floor_log) = 32),
    denied INTEGER NOT NULL CHECK (denied IN (0, 1)),
    -- Put out at some time: for a seat of the owner the end of it in this room.
    removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
    PRIMARY KEY (room, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX standing_agent ON standing (agent) WHERE member = 1;

-- By user for who owns rooms, by age for what nobody needs any more.
CREATE INDEX seat_user ON seat (user);
CREATE INDEX seat_issued ON seat (issued);

-- Who is in which room, until when and from where on: the one rule behind every request.
CREATE VIEW insider (room, agent, owner, until, floor, floor_log) AS
    SELECT room.no, seat.agent, 1, seat.expires, 0, room.id
    FROM seat JOIN room ON room.owner = seat.user
    WHERE NOT EXISTS (SELECT 1 FROM standing
        WHERE standing.room = room.no AND standing.agent = seat.agent AND standing.removed = 1)
    UNION ALL
    SELECT room, agent, 0, 9223372036854775807, floor, floor_log FROM standing WHERE member = 1;

-- The public halves of session keys, with the owner's word on each.
CREATE TABLE session_key (
    no INTEGER NOT NULL PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES room (no),
    invite BLOB NOT NULL CHECK (length(invite) = 32),
    expires INTEGER NOT NULL,
    max_uses INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
    user BLOB NOT NULL CHECK (length(user) = 32),
    bytes TEXT NOT NULL,
    sig BLOB NOT NULL CHECK (length(sig) = 64),
    UNIQUE (room, invite)
) STRICT;
CREATE INDEX session_key_invite ON session_key (invite);

-- Session keys that admit, until they expire.
CREATE VIEW live_key (room, invite, expires) AS
    SELECT session_key.room, session_key.invite, session_key.expires
    FROM session_key JOIN room ON room.no = session_key.room
    WHERE session_key.revoked = 0 AND session_key.uses < session_key.max_uses AND room.closed IS NULL;

-- Who asked to join: one request of an agent in a room, in the order in which they came.
CREATE TABLE request (
    no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    room INTEGER NOT NULL REFERENCES room (no),
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    invite BLOB NOT NULL CHECK (length(invite) = 32),
    -- Where it came from; empty for the socket of this machine.
    address TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- Whether the owner decided.
    decided INTEGER NOT NULL CHECK (decided IN (0, 1)),
    ask TEXT NOT NULL,
    UNIQUE (room, agent)
) STRICT;
CREATE INDEX request_expires ON request (expires);
CREATE INDEX request_pending ON request (room, invite) WHERE decided = 0;

-- Requests that wait for the owner, until they or their key expire.
CREATE VIEW pending (no, id, room, agent, invite, address, first_seen, until, ask) AS
    SELECT request.no, request.id, request.room, request.agent, request.invite, request.address, request.first_seen,
        min(request.expires, live_key.expires), request.ask
    FROM request JOIN live_key ON live_key.room = request.room AND live_key.invite = request.invite
    WHERE request.decided = 0;

-- Who sent the bytes of a blob to a room: a member without history has what it sent itself, and no more below its floor.
CREATE TABLE sender (
    room INTEGER NOT NULL REFERENCES room (no),
    blob BLOB NOT NULL CHECK (length(blob) = 32),
    agent BLOB NOT NULL CHECK (length(agent) = 32),
    PRIMARY KEY (room, blob, agent)
) STRICT, WITHOUT ROWID;
