-- The registry thread reads the row that a person releases or discards; who, why and when stand in
-- vigie.journal_command (commands release, discard), and a row is settled once.
GRANT SELECT ON vigie.quarantine TO vigie_registry;
ALTER TABLE vigie.quarantine ADD CHECK (released_at IS NULL OR discarded_at IS NULL);
