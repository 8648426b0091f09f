-- An alert event and, from its payload, the row of its episode: alert_event is the truth, alert follows it. Called by
-- the loader for one event after another; an event that is stored already changes nothing, a newer sequence wins.
--   retrospective      as the event that opened it says; again true when reopened; false once an event pages
--   acknowledged_*     by `acknowledged`; gone again with what asks anew: raised again, escalated, live, reopened;
--                      that of an open episode goes on with the one it is merged into
--   handled_*          by `handled`; stays
CREATE FUNCTION vigie.store_event(e_event_id uuid, e_episode_id uuid, e_sequence integer, e_event text,
                                  e_decided_at timestamptz, e_shard integer, e_position bigint, e_payload json,
                                  e_patient_id bigint)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    reopened   boolean := e_event = 'amended' AND coalesce(e_payload->>'reason', '') = 'reopened';
    asks_again boolean := reopened OR e_event IN ('raised', 'escalated', 'live');
    pages      boolean := e_event IN ('live', 'escalated') AND NOT coalesce((e_payload->>'retrospective')::boolean, false);
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
    END IF;

    INSERT INTO vigie.alert AS a (
        episode_id, patient_id, rule_id, rule_version, side, class, priority, state, raised_at, cleared_at, retrospective,
        acknowledged_at, acknowledged_by, handled_at, handled_by, handled_outcome, readings_in_breach, last_sequence)
    VALUES (
        e_episode_id, e_patient_id, coalesce(e_payload->'rule'->>'id', ''), (e_payload->'rule'->>'version')::integer,
        coalesce(e_payload->>'side', ''), coalesce(e_payload->>'class', ''), coalesce(e_payload->>'priority', ''),
        coalesce(e_payload->>'state', ''), (e_payload->>'raised_at')::timestamptz,
        (e_payload->>'cleared_at')::timestamptz, coalesce((e_payload->>'retrospective')::boolean, false),
        CASE e_event WHEN 'acknowledged' THEN e_decided_at END,
        CASE e_event WHEN 'acknowledged' THEN e_payload->>'author' END,
        CASE e_event WHEN 'handled' THEN e_decided_at END,
        CASE e_event WHEN 'handled' THEN e_payload->>'author' END,
        CASE e_event WHEN 'handled' THEN e_payload->>'outcome' END,
        (e_payload->>'readings_in_breach')::integer, e_sequence)
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
        acknowledged_at    = CASE WHEN e_event = 'acknowledged' THEN EXCLUDED.acknowledged_at
                                  WHEN NOT asks_again THEN a.acknowledged_at END,
        acknowledged_by    = CASE WHEN e_event = 'acknowledged' THEN EXCLUDED.acknowledged_by
                                  WHEN NOT asks_again THEN a.acknowledged_by END,
        handled_at         = coalesce(EXCLUDED.handled_at, a.handled_at),
        handled_by         = coalesce(EXCLUDED.handled_by, a.handled_by),
        handled_outcome    = coalesce(EXCLUDED.handled_outcome, a.handled_outcome),
        readings_in_breach = coalesce(EXCLUDED.readings_in_breach, a.readings_in_breach),
        last_sequence      = EXCLUDED.last_sequence
    WHERE a.last_sequence < EXCLUDED.last_sequence;
END
$$;
REVOKE EXECUTE ON FUNCTION vigie.store_event(uuid, uuid, integer, text, timestamptz, integer, bigint, json, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vigie.store_event(uuid, uuid, integer, text, timestamptz, integer, bigint, json, bigint) TO vigie_loader;
