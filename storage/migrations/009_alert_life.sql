-- The life of an episode in its row: shelves, and the acknowledgement that an episode takes over when it opens again
-- because an open one is merged into it (RULES.md section 5).
ALTER TABLE vigie.alert ADD COLUMN shelved_until timestamptz;

CREATE OR REPLACE VIEW vigie.alert_history WITH (security_barrier) AS
    SELECT a.episode_id, a.patient_id, p.ref AS patient, p.organization_id, a.rule_id, a.rule_version, a.side, a.class,
           a.priority, a.state, a.raised_at, a.cleared_at, a.retrospective, a.acknowledged_at, a.acknowledged_by,
           a.handled_at, a.handled_by, a.handled_outcome, a.readings_in_breach, a.last_sequence, a.shelved_until
      FROM vigie.alert a
      LEFT JOIN vigie.visible_patient p ON p.patient_id = a.patient_id
     WHERE p.patient_id IS NOT NULL
        OR (a.patient_id IS NULL AND (SELECT pg_has_role(session_user, 'vigie_loader', 'MEMBER')));

CREATE OR REPLACE VIEW vigie.open_alert WITH (security_barrier) AS
    SELECT * FROM vigie.alert_history WHERE state = 'open';

-- Who acknowledged the open episode that this very decision merged into the one given.
CREATE FUNCTION vigie.merged_acknowledgement(m_patient_id bigint, m_into uuid, m_decided_at timestamptz,
                                             OUT acknowledged_at timestamptz, OUT acknowledged_by text)
    LANGUAGE sql STABLE AS $$
    SELECT x.acknowledged_at, x.acknowledged_by
      FROM vigie.alert x
      JOIN vigie.alert_event e ON e.episode_id = x.episode_id AND e.sequence = x.last_sequence
     WHERE x.patient_id = m_patient_id AND x.state = 'cancelled' AND x.cleared_at IS NULL
       AND x.acknowledged_at IS NOT NULL AND e.event = 'cancelled' AND e.decided_at = m_decided_at
       AND e.payload->>'into' = m_into::text
     LIMIT 1
$$;

-- As in 004_store_event.sql, and:
--   acknowledged_*     of an episode opened again: that of the open episode merged into it
--   shelved_until      by `shelved`; gone again with `unshelved` and with what raises or opens again
CREATE OR REPLACE FUNCTION vigie.store_event(e_event_id uuid, e_episode_id uuid, e_sequence integer, e_event text,
                                             e_decided_at timestamptz, e_shard integer, e_position bigint,
                                             e_payload json, e_patient_id bigint)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    reopened   boolean := e_event = 'amended' AND coalesce(e_payload->>'reason', '') = 'reopened';
    asks_again boolean := reopened OR e_event IN ('raised', 'escalated', 'live');
    pages      boolean := e_event IN ('live', 'escalated') AND NOT coalesce((e_payload->>'retrospective')::boolean, false);
    ack_at     timestamptz := CASE e_event WHEN 'acknowledged' THEN e_decided_at END;
    ack_by     text := CASE e_event WHEN 'acknowledged' THEN e_payload->>'author' END;
BEGIN
    INSERT INTO vigie.alert_event (event_id, episode_id, sequence, event, decided_at, shard, position, payload)
    VALUES (e_event_id, e_episode_id, e_sequence, e_event, e_decided_at, e_shard, e_position, e_payload)
    ON CONFLICT (event_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    IF e_event = 'cancelled' AND e_payload->>'into' IS NOT NULL THEN
        UPDATE vigie.alert y SET acknowledged_at = x.acknowledged_at, acknowledged_by = x.acknowledged_by
          FROM vigie.alert x
         WHERE x.episode_id = e_episode_id AND x.state = 'open' AND x.acknowledged_at IS NOT NULL
           AND y.episode_id = (e_payload->>'into')::uuid AND y.acknowledged_at IS NULL;
    ELSIF reopened THEN
        SELECT m.acknowledged_at, m.acknowledged_by INTO ack_at, ack_by
          FROM vigie.merged_acknowledgement(e_patient_id, e_episode_id, e_decided_at) m;
    END IF;

    INSERT INTO vigie.alert AS a (
        episode_id, patient_id, rule_id, rule_version, side, class, priority, state, raised_at, cleared_at, retrospective,
        acknowledged_at, acknowledged_by, handled_at, handled_by, handled_outcome, readings_in_breach, last_sequence,
        shelved_until)
    VALUES (
        e_episode_id, e_patient_id, coalesce(e_payload->'rule'->>'id', ''), (e_payload->'rule'->>'version')::integer,
        coalesce(e_payload->>'side', ''), coalesce(e_payload->>'class', ''), coalesce(e_payload->>'priority', ''),
        coalesce(e_payload->>'state', ''), (e_payload->>'raised_at')::timestamptz,
        (e_payload->>'cleared_at')::timestamptz, coalesce((e_payload->>'retrospective')::boolean, false),
        ack_at, ack_by,
        CASE e_event WHEN 'handled' THEN e_decided_at END,
        CASE e_event WHEN 'handled' THEN e_payload->>'author' END,
        CASE e_event WHEN 'handled' THEN e_payload->>'outcome' END,
        (e_payload->>'readings_in_breach')::integer, e_sequence,
        CASE e_event WHEN 'shelved' THEN (e_payload->>'until')::timestamptz END)
    ON CONFLICT (episode_id) DO UPDATE SET
        rule_version       = coalesce(EXCLUDED.rule_version, a.rule_version),
        priority           = coalesce(nullif(EXCLUDED.priority, ''), a.priority),
        state              = coalesce(nullif(EXCLUDED.state, ''), a.state),
        raised_at          = coalesce(EXCLUDED.raised_at, a.raised_at),
        cleared_at         = EXCLUDED.cleared_at,
        retrospective      = CASE WHEN e_event = 'raised' THEN EXCLUDED.retrospective
                                  WHEN reopened THEN true
                                  WHEN pages THEN false
                                  ELSE a.retrospective END,
        acknowledged_at    = CASE WHEN asks_again OR e_event = 'acknowledged' THEN EXCLUDED.acknowledged_at
                                  ELSE a.acknowledged_at END,
        acknowledged_by    = CASE WHEN asks_again OR e_event = 'acknowledged' THEN EXCLUDED.acknowledged_by
                                  ELSE a.acknowledged_by END,
        handled_at         = coalesce(EXCLUDED.handled_at, a.handled_at),
        handled_by         = coalesce(EXCLUDED.handled_by, a.handled_by),
        handled_outcome    = coalesce(EXCLUDED.handled_outcome, a.handled_outcome),
        readings_in_breach = coalesce(EXCLUDED.readings_in_breach, a.readings_in_breach),
        last_sequence      = EXCLUDED.last_sequence,
        shelved_until      = CASE WHEN reopened OR e_event IN ('raised', 'shelved', 'unshelved')
                                  THEN EXCLUDED.shelved_until ELSE a.shelved_until END
    WHERE a.last_sequence < EXCLUDED.last_sequence;
END
$$;
REVOKE EXECUTE ON FUNCTION vigie.merged_acknowledgement(bigint, uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vigie.merged_acknowledgement(bigint, uuid, timestamptz) TO vigie_loader;
