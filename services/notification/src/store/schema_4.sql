-- How many of a user's groups have something unread in them, counted as they change: there may be a million.
CREATE TABLE unread_groups (
  owner TEXT    NOT NULL PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO unread_groups SELECT owner, count(*) FROM groups WHERE newness > read_up_to GROUP BY owner;

CREATE TRIGGER made_unread AFTER INSERT ON groups WHEN new.newness > new.read_up_to BEGIN
  INSERT INTO unread_groups VALUES (new.owner, 1) ON CONFLICT (owner) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER changed_unread AFTER UPDATE OF newness, read_up_to ON groups
WHEN (new.newness > new.read_up_to) <> (old.newness > old.read_up_to) BEGIN
  INSERT INTO unread_groups VALUES (new.owner, iif(new.newness > new.read_up_to, 1, -1))
    ON CONFLICT (owner) DO UPDATE SET count = count + excluded.count;
END;

CREATE TRIGGER unread_gone AFTER DELETE ON groups WHEN old.newness > old.read_up_to BEGIN
  UPDATE unread_groups SET count = count - 1 WHERE owner = old.owner;
END;

-- What is marked as read is found among what is unread, in its order, and not among all that a user ever got.
DROP INDEX unread;
CREATE INDEX unread ON groups (owner, newness) WHERE newness > read_up_to;
