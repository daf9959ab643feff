-- Reaction's own tables; the outbox stands beside them. Times are microseconds since 1970.

CREATE TABLE posts (
  post  TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  title TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each pair. An undone row is kept, with its version, until every receiver holds the event that undid it.
CREATE TABLE reactions (
  post        TEXT    NOT NULL,
  user        TEXT    NOT NULL,
  kind        INTEGER,           -- NULL: undone
  at          INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,  -- with sequence: the event that wrote the row
  sequence    INTEGER NOT NULL,
  provisional INTEGER NOT NULL,  -- 1: its call takes it back if it fails
  PRIMARY KEY (post, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX undone ON reactions (epoch, sequence) WHERE kind IS NULL;

CREATE TABLE counts (
  post  TEXT    NOT NULL,
  kind  INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (post, kind)
) STRICT, WITHOUT ROWID;
