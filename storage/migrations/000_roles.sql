-- Roles without passwords (INTERFACES.md section 3). Roles belong to the cluster and not to the database, so this
-- file runs at every migration and makes only what is missing. Everything else runs as vigie_owner.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['vigie_owner', 'vigie_loader', 'vigie_registry', 'vigie_identity', 'vigie_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'vigie_owner', 'MEMBER') THEN
        EXECUTE format('GRANT vigie_owner TO %I', current_user);
    END IF;
    IF NOT has_database_privilege('vigie_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO vigie_owner', current_database());
    END IF;
END
$$;
