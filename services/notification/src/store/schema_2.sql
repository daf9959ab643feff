-- What was decided of the event that wrote a pair's row: 1 notified, 2 muted, 3 own, 4 withdrawn, 5 nothing; 0 in rows from before.
ALTER TABLE notifications ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;

DROP INDEX latest;
CREATE INDEX latest ON notifications (post, newness) WHERE kind IS NOT NULL AND user <> owner AND decision <> 2;

-- Each opening of the store has a range of newness of its own, above all before: what orders changes then needs neither a clock nor
-- a row that every change writes.
CREATE TABLE openings (
  opening     INTEGER PRIMARY KEY,  -- the upper bits of what it gives out
  incarnation INTEGER NOT NULL UNIQUE -- the store's: tells it from another store's opening of the same number
) STRICT;

-- Until here newness was a time.
INSERT INTO openings SELECT
  max(ifnull((SELECT max(newness) FROM notifications), 0), ifnull((SELECT max(read_up_to) FROM groups), 0)) >> 42, 0;

-- Groups that changed, or went, other than by news: news is known by the group's newness, so that the most frequent change
-- writes nothing here. A group's last such change only; the oldest are forgotten.
CREATE TABLE changes (
  newness INTEGER PRIMARY KEY,
  owner   TEXT NOT NULL,
  post    TEXT NOT NULL,
  UNIQUE (owner, post)
) STRICT;
CREATE INDEX changed ON changes (owner, newness, post);

CREATE TABLE changes_forgotten (
  only  INTEGER PRIMARY KEY CHECK (only = 1),
  up_to INTEGER NOT NULL  -- a newness
) STRICT;
INSERT INTO changes_forgotten VALUES (1, 0);

-- What users don't want to be notified of.
CREATE TABLE mutes (
  user TEXT    NOT NULL,
  what INTEGER NOT NULL,  -- 1 a post, 2 a kind, 3 a user
  name TEXT    NOT NULL,
  PRIMARY KEY (user, what, name)
) STRICT, WITHOUT ROWID;
