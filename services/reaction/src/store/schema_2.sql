-- What tells afterwards how a row came to be: see `duet why`.
ALTER TABLE reactions ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- of the Channel, when its event was accepted; 0 in rows from before
ALTER TABLE reactions ADD COLUMN restored INTEGER; -- when a failed call's change was taken back, if the row's event does that
ALTER TABLE reactions ADD COLUMN trace BLOB; -- the id of the trace that its event was accepted in, if that was sampled
