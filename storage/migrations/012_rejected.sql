-- What senders who cannot be told have sent in vain, and rows that this schema refuses. The original is ciphertext
-- (storage/rejected_seal.h); code and text are Vigie's own words. It is kept for 30 days of engine time, which received_at
-- is, and nobody may change it. The loader may delete through the function alone, a bounded number a call.
ALTER TABLE vigie.rejected ADD COLUMN rejected_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;

CREATE FUNCTION vigie.forget_rejected(engine_at timestamptz, at_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forgotten integer;
BEGIN
    DELETE FROM vigie.rejected WHERE rejected_id IN (
        SELECT r.rejected_id FROM vigie.rejected r WHERE r.received_at < engine_at - interval '30 days'
        ORDER BY r.received_at LIMIT at_most);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
REVOKE EXECUTE ON FUNCTION vigie.forget_rejected(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vigie.forget_rejected(timestamptz, integer) TO vigie_loader;
