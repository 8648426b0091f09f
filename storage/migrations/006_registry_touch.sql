-- The first row that a transaction writes takes the version; the rows after it only read it. An enrolment of 100,000
-- patients fires this 600,000 times, and an UPDATE and a NOTIFY each was most of its time. A savepoint that is rolled
-- back takes version and notification with it, and the next row takes them again.
CREATE OR REPLACE FUNCTION vigie.registry_touch() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = vigie, pg_temp AS $$
DECLARE
    now_at bigint;
    written_by xid8;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW *= OLD THEN
        RETURN NULL; -- the same line again changes nothing
    END IF;
    SELECT version, writer INTO now_at, written_by FROM vigie.registry_state;
    IF written_by IS DISTINCT FROM pg_current_xact_id() THEN
        UPDATE vigie.registry_state SET version = version + 1, writer = pg_current_xact_id() RETURNING version INTO now_at;
        PERFORM pg_notify('vigie_registry', now_at::text);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    NEW.changed := now_at;
    NEW.changed_at := transaction_timestamp();
    RETURN NEW;
END
$$;
