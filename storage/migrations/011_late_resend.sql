-- A shard cannot tell a reading that is older than what it holds from a resend; the loader can, and stores nothing twice.
-- The technical alert about late readings has counted it all the same: what that alert needs to be decided again, one row
-- a request and parameter.
CREATE TABLE vigie.late_resend (
    patient_id       bigint NOT NULL,
    parameter_id     smallint NOT NULL,
    measured_at      timestamptz NOT NULL, -- of the first
    received_at      timestamptz NOT NULL,
    value            bigint NOT NULL,
    comparator       text NOT NULL,
    readings         integer NOT NULL CHECK (readings > 0),
    request_position bigint NOT NULL, -- as of readings
    request_index    smallint NOT NULL,
    PRIMARY KEY (patient_id, request_position, parameter_id)
);
GRANT SELECT, INSERT ON vigie.late_resend TO vigie_loader;
