-- What readers see: security_barrier views that join vigie.role_organization on session_user, which no SET changes.
-- Whoever may read the tables anyway (members of vigie_loader, superusers) sees every organisation, and alerts that
-- concern no patient.

CREATE VIEW vigie.visible_patient WITH (security_barrier) AS
    SELECT p.patient_id, p.ref, p.organization_id, p.line, p.team, p.time_zone, p.enrolled_at, p.left_at
      FROM vigie.patient p
     WHERE (SELECT pg_has_role(session_user, 'vigie_loader', 'MEMBER'))
        OR EXISTS (SELECT FROM vigie.role_organization o
                    WHERE o.role_name = session_user AND o.organization_id = p.organization_id);

-- The winning version of every reading that is not void. A row is shown unless another row of the patient and
-- parameter beats it:
--   amendment over reading   the amendment means it: by its alias if any reading carries that (several: the one with
--                            its key), else by its key;
--   amendment over amendment both mean the same; later version time, at equal or missing ones void, then the greater
--                            value;
--   final over preliminary   of one key, unless both have identifiers and they differ.
-- Amendments are few and have an index of their own.
CREATE VIEW vigie.reading_current WITH (security_barrier) AS
    SELECT r.reading_id, r.revision, r.patient_id, p.ref AS patient, p.organization_id, r.parameter_id,
           m.name AS parameter, m.loinc, m.unit, r.measured_at, r.received_at, trim_scale(r.value * 0.000001) AS value,
           r.comparator, r.device_id, r.sensor, r.origin, r.status, r.flags, r.source_id, r.alias, r.issued, r.group_id,
           r.time_precision, r.utc_offset_min, r.original_text, r.original_unit, r.original_code, r.key_device, r.context
      FROM vigie.reading r
      JOIN vigie.visible_patient p ON p.patient_id = r.patient_id
      JOIN vigie.parameter m ON m.parameter_id = r.parameter_id
     WHERE r.status <> 'void'
       AND NOT EXISTS (
           SELECT FROM vigie.reading w
            WHERE w.patient_id = r.patient_id AND w.parameter_id = r.parameter_id AND w.status IN ('corrected', 'void')
              AND CASE WHEN r.status IN ('preliminary', 'final') THEN
                      CASE WHEN w.alias IS NOT NULL AND EXISTS (
                               SELECT FROM vigie.reading a
                                WHERE a.patient_id = w.patient_id AND a.parameter_id = w.parameter_id
                                  AND a.source_id = w.source_id AND a.alias = w.alias
                                  AND a.status IN ('preliminary', 'final'))
                           THEN r.source_id = w.source_id AND r.alias = w.alias
                                AND ((r.key_device, r.sensor, r.measured_at) = (w.key_device, w.sensor, w.measured_at)
                                     OR NOT EXISTS (
                                         SELECT FROM vigie.reading k
                                          WHERE k.patient_id = w.patient_id AND k.parameter_id = w.parameter_id
                                            AND k.source_id = w.source_id AND k.alias = w.alias
                                            AND k.status IN ('preliminary', 'final') AND k.measured_at = w.measured_at
                                            AND k.key_device = w.key_device AND k.sensor = w.sensor))
                           ELSE (r.key_device, r.sensor, r.measured_at) = (w.key_device, w.sensor, w.measured_at)
                      END
                  ELSE ((w.source_id = r.source_id AND w.alias = r.alias)
                        OR (r.key_device, r.sensor, r.measured_at) = (w.key_device, w.sensor, w.measured_at))
                       AND (coalesce(w.issued, '-infinity'), (w.status = 'void')::integer, w.value, w.revision,
                            w.reading_id)
                         > (coalesce(r.issued, '-infinity'), (r.status = 'void')::integer, r.value, r.revision,
                            r.reading_id)
                  END)
       AND NOT (r.status = 'preliminary' AND EXISTS (
           SELECT FROM vigie.reading f
            WHERE f.patient_id = r.patient_id AND f.measured_at = r.measured_at AND f.parameter_id = r.parameter_id
              AND f.key_device = r.key_device AND f.sensor = r.sensor AND f.status = 'final'
              AND (f.reading_id = r.reading_id OR f.alias IS NULL OR r.alias IS NULL OR f.alias = r.alias)));

-- The newest reading of each parameter; ask for one patient. 35 days of engine time.
CREATE VIEW vigie.latest_reading WITH (security_barrier) AS
    SELECT DISTINCT ON (c.patient_id, c.parameter_id) c.*
      FROM vigie.reading_current c
     WHERE c.received_at > (SELECT coalesce(max(j.engine_at), now()) FROM vigie.journal_cursor j) - interval '35 days'
     ORDER BY c.patient_id, c.parameter_id, c.measured_at DESC, c.received_at DESC;

-- Readings measured in [from, to): one received before it was measured does not exist beyond the future tolerance,
-- which bounds the partitions to look at.
CREATE FUNCTION vigie.readings(patient_id bigint, from_at timestamptz, to_at timestamptz)
    RETURNS SETOF vigie.reading_current LANGUAGE sql STABLE AS $$
    SELECT * FROM vigie.reading_current c
     WHERE c.patient_id = readings.patient_id AND c.measured_at >= readings.from_at AND c.measured_at < readings.to_at
       AND c.received_at >= readings.from_at - interval '1 day'
$$;
CREATE FUNCTION vigie.readings(patient text, from_at timestamptz, to_at timestamptz)
    RETURNS SETOF vigie.reading_current LANGUAGE sql STABLE AS $$
    SELECT c.* FROM vigie.visible_patient v
     CROSS JOIN LATERAL vigie.readings(v.patient_id, readings.from_at, readings.to_at) c
     WHERE v.ref = readings.patient -- unqualified it would be the view's column
$$;

CREATE VIEW vigie.alert_history WITH (security_barrier) AS
    SELECT a.episode_id, a.patient_id, p.ref AS patient, p.organization_id, a.rule_id, a.rule_version, a.side, a.class,
           a.priority, a.state, a.raised_at, a.cleared_at, a.retrospective, a.acknowledged_at, a.acknowledged_by,
           a.handled_at, a.handled_by, a.handled_outcome, a.readings_in_breach, a.last_sequence
      FROM vigie.alert a
      LEFT JOIN vigie.visible_patient p ON p.patient_id = a.patient_id
     WHERE p.patient_id IS NOT NULL
        OR (a.patient_id IS NULL AND (SELECT pg_has_role(session_user, 'vigie_loader', 'MEMBER')));

CREATE VIEW vigie.open_alert WITH (security_barrier) AS
    SELECT * FROM vigie.alert_history WHERE state = 'open';

-- Per patient and calendar month of the patient's zone: days with data, readings, last transmission, alerts.
CREATE VIEW vigie.usage_month WITH (security_barrier) AS
    SELECT u.organization_id, u.patient_id, u.patient, u.line, u.month, u.readings, u.days_with_data, u.last_received_at,
           (SELECT count(*) FROM vigie.alert a
             WHERE a.patient_id = u.patient_id AND a.state <> 'cancelled'
               AND date_trunc('month', a.raised_at AT TIME ZONE u.time_zone)::date = u.month) AS alerts_raised,
           (SELECT count(*) FROM vigie.alert a
             WHERE a.patient_id = u.patient_id AND a.handled_at IS NOT NULL
               AND date_trunc('month', a.handled_at AT TIME ZONE u.time_zone)::date = u.month) AS alerts_handled
      FROM (SELECT p.organization_id, p.patient_id, p.ref AS patient, p.line, p.time_zone,
                   date_trunc('month', r.measured_at AT TIME ZONE p.time_zone)::date AS month, count(*) AS readings,
                   count(DISTINCT (r.measured_at AT TIME ZONE p.time_zone)::date) AS days_with_data,
                   max(r.received_at) AS last_received_at
              FROM vigie.reading_current r
              JOIN vigie.visible_patient p ON p.patient_id = r.patient_id
             GROUP BY 1, 2, 3, 4, 5, 6) u;
