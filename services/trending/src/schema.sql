-- Trending's own tables; which event a pair holds, the channel keeps beside them. Times are microseconds since 1970.

-- The reactions of the last hour that stand.
CREATE TABLE reactions (
  post TEXT    NOT NULL,
  user TEXT    NOT NULL,
  kind TEXT    NOT NULL,
  at   INTEGER NOT NULL,  -- since when it stands; never after it came here
  PRIMARY KEY (post, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX oldest ON reactions (at);

-- The same, counted as they come and go. None is 0.
CREATE TABLE posts (
  post  TEXT    PRIMARY KEY,
  title TEXT    NOT NULL,  -- as the newest event knew it
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX most ON posts (-count, post);

CREATE TABLE kinds (
  post  TEXT    NOT NULL,
  kind  TEXT    NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (post, kind)
) STRICT, WITHOUT ROWID;
