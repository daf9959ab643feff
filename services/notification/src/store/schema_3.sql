-- When the event that wrote a pair's row was applied: microseconds after `at`, which takes fewer bytes. NULL in rows from before.
ALTER TABLE notifications ADD COLUMN applied_after INTEGER;
