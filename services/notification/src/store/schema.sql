-- Notification's own tables; the inbox stands beside them. Times are microseconds since 1970.

-- One row for each pair of post and user, owners' own reactions included. An undone one is a tombstone until nothing older
-- of its pair can come any more.
CREATE TABLE notifications (
  post       TEXT    NOT NULL,
  user       TEXT    NOT NULL,
  owner      TEXT    NOT NULL,
  kind       TEXT,              -- NULL: undone
  at         INTEGER NOT NULL,
  newness    INTEGER NOT NULL,  -- orders what the owner gets
  newness_before INTEGER,       -- its newness before the last change: what a restoring event goes back to
  store      INTEGER NOT NULL,  -- with partitions and partition: the lane of the event that wrote the row
  partitions INTEGER NOT NULL,
  partition  INTEGER NOT NULL,
  epoch      INTEGER NOT NULL,  -- with sequence: that event's version
  sequence   INTEGER NOT NULL,
  PRIMARY KEY (post, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX latest ON notifications (post, newness) WHERE kind IS NOT NULL AND user <> owner;
CREATE INDEX tombstones ON notifications (store, partitions, partition, epoch, sequence) WHERE kind IS NULL;

-- What an owner sees: the rows of a post that stand and are not the owner's own, summed up as they change.
CREATE TABLE groups (
  owner      TEXT    NOT NULL,
  post       TEXT    NOT NULL,
  title      TEXT    NOT NULL,
  count      INTEGER NOT NULL,  -- never 0: an empty group goes
  newness    INTEGER NOT NULL,  -- its newest row's
  at         INTEGER NOT NULL,  -- its newest row's
  read_up_to INTEGER NOT NULL,  -- a newness
  PRIMARY KEY (owner, post)
) STRICT, WITHOUT ROWID;

CREATE INDEX newest ON groups (owner, newness, post);
CREATE INDEX unread ON groups (owner) WHERE newness > read_up_to;

CREATE TABLE kinds (
  owner TEXT    NOT NULL,
  post  TEXT    NOT NULL,
  kind  TEXT    NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (owner, post, kind)
) STRICT, WITHOUT ROWID;
