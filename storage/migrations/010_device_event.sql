-- Messages of devices' own alarms, one row each, never changed: what an episode of class "device" rests on. A resend
-- beyond what a shard holds is told by the key. One that says it was measured later than it came is here too, with
-- quarantine 'future': no rule judged it.
CREATE TABLE vigie.device_event (
    device_event_id  uuid PRIMARY KEY, -- from patient, device, episode, class, time and phase
    patient_id       bigint NOT NULL,
    measured_at      timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    key_device       text NOT NULL, -- device ref, device text of the payload, or source ref
    device_id        bigint,
    episode          text NOT NULL, -- the device's name of its alarm
    class            text NOT NULL, -- as the maker classified it
    phase            text NOT NULL CHECK (phase IN ('start', 'continue', 'end')),
    source_id        bigint NOT NULL,
    utc_offset_min   smallint NOT NULL,
    flags            integer NOT NULL,
    quarantine       text NOT NULL,
    request_position bigint NOT NULL, -- as of readings
    request_index    smallint NOT NULL
);
CREATE INDEX ON vigie.device_event (patient_id, measured_at);

CREATE VIEW vigie.device_event_history WITH (security_barrier) AS
    SELECT d.device_event_id, d.patient_id, p.ref AS patient, p.organization_id, d.measured_at, d.received_at,
           d.key_device AS device, d.device_id, d.episode, d.class, d.phase, d.source_id, d.utc_offset_min, d.flags,
           d.quarantine
      FROM vigie.device_event d
      JOIN vigie.visible_patient p ON p.patient_id = d.patient_id;

GRANT SELECT, INSERT ON vigie.device_event TO vigie_loader;
GRANT SELECT ON vigie.device_event_history TO vigie_reader, vigie_loader;
