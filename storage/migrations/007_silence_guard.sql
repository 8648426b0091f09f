-- Nobody can disable silence (RULES.md section 4): what loader, import and engine refuse, the database refuses too, whoever
-- writes. Refused here is what can be told from the tables alone; the rest is refused by the shard, and what was in
-- force stays in force.

-- "36h" as milliseconds; NULL when it is no duration.
CREATE FUNCTION vigie.duration_ms(text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT (m)[1]::numeric * CASE (m)[2] WHEN 'ms' THEN 1 WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000
                                         ELSE 86400000 END
      FROM regexp_match($1, '^([0-9]{1,15})(ms|s|m|h|d)$') AS m
$$;

CREATE OR REPLACE FUNCTION vigie.rule_guard_silence() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind  text := NEW.rule->>'kind';
    fault text;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.rule::text = OLD.rule::text AND NEW.rule_id = OLD.rule_id AND NEW.layer = OLD.layer THEN
        RETURN NEW;
    END IF;
    IF coalesce(kind, '') <> 'silence' AND NOT EXISTS (
            SELECT FROM vigie.rule_version o WHERE o.rule_id = NEW.rule_id AND o.rule->>'kind' = 'silence') THEN
        RETURN NEW;
    END IF;
    fault := CASE
        WHEN coalesce(NEW.rule->>'enabled', 'true') <> 'true' THEN 'cannot be disabled'
        WHEN coalesce(NEW.rule->>'inherit', 'false') = 'true' THEN
            CASE WHEN NEW.layer = 'line' THEN 'has no layer below its line' END
        WHEN kind IS DISTINCT FROM 'silence' THEN 'stays a silence rule'
        WHEN NEW.rule->>'max_gap' IS NULL AND NEW.rule->>'missed_days' IS NULL THEN 'needs max_gap or missed_days'
        WHEN NEW.rule->>'max_gap' IS NOT NULL
             AND coalesce(vigie.duration_ms(NEW.rule->>'max_gap'), 0) NOT BETWEEN 1 AND 2678400000
            THEN 'has a max_gap of at most 31 days'
        WHEN NEW.rule->>'missed_days' IS NOT NULL AND NOT (NEW.rule->>'missed_days' ~ '^[0-9]{1,2}$'
             AND (NEW.rule->>'missed_days')::integer BETWEEN 1 AND 31) THEN 'has missed_days from 1 to 31'
        WHEN json_typeof(NEW.rule->'parameters') IS DISTINCT FROM 'array' THEN 'lists its parameters'
        WHEN json_array_length(NEW.rule->'parameters') = 0 THEN 'lists its parameters'
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'a silence rule %', fault USING ERRCODE = 'check_violation',
            CONSTRAINT = 'rule_version_silence_is_never_disabled';
    END IF;
    RETURN NEW;
END
$$;

-- A suspension is of a silence rule; 31 days in 62 (744 h in 1488) are all that anyone but a physician may give.
CREATE FUNCTION vigie.suspension_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    around tstzmultirange := tstzmultirange(tstzrange(NEW.until_at - interval '1488 hours', NEW.until_at));
    total  interval;
BEGIN
    IF NOT EXISTS (SELECT FROM vigie.rule_version o WHERE o.rule_id = NEW.rule_id AND o.rule->>'kind' = 'silence') THEN
        RAISE EXCEPTION 'a suspension is of a silence rule' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'suspension_of_silence';
    END IF;
    SELECT coalesce(sum(upper(r) - lower(r)), interval '0') INTO total
      FROM (SELECT unnest(range_agg(held) * around) r
              FROM (SELECT tstzrange(from_at, until_at) held FROM vigie.suspension
                     WHERE patient_id = NEW.patient_id AND rule_id = NEW.rule_id AND from_at <> NEW.from_at
                    UNION ALL SELECT tstzrange(NEW.from_at, NEW.until_at)) all_of_them) parts;
    IF NEW.role <> 'physician' AND extract(epoch FROM total) > 744 * 3600 THEN
        RAISE EXCEPTION 'more than 31 days in 62 need a physician' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'suspension_31_days_in_62';
    END IF;
    RETURN NEW;
END
$$;
-- "guard" sorts ahead of "touch": what is refused takes no version
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OF from_at, until_at, rule_id, patient_id, role ON vigie.suspension
    FOR EACH ROW EXECUTE FUNCTION vigie.suspension_guard();
-- The guard of rules asks this of every rule that is written; there may be a version of one id for each patient.
CREATE INDEX rule_version_of_silence ON vigie.rule_version (rule_id) WHERE rule->>'kind' = 'silence';
