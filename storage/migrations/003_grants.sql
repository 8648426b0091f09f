-- Who may do what. Raw tables carry no grant to readers; nobody may change or delete a reading or an event.
GRANT USAGE ON SCHEMA vigie TO vigie_loader, vigie_registry, vigie_identity, vigie_reader;
GRANT USAGE ON SCHEMA vigie_identity TO vigie_registry, vigie_identity;
GRANT USAGE ON SCHEMA audit TO vigie_loader, vigie_registry, vigie_identity;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA vigie_identity, audit FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION vigie.make_partitions(timestamptz, integer, boolean) FROM PUBLIC;

GRANT SELECT, INSERT ON vigie.reading, vigie.quarantine, vigie.rejected, vigie.alert_event TO vigie_loader;
GRANT UPDATE (released_at, discarded_at) ON vigie.quarantine TO vigie_loader;
GRANT SELECT, INSERT, UPDATE ON vigie.alert, vigie.journal_cursor, vigie.node_lease TO vigie_loader;
GRANT EXECUTE ON FUNCTION vigie.make_partitions(timestamptz, integer, boolean) TO vigie_loader;

GRANT SELECT ON vigie.parameter, vigie.registry_state, vigie.organization, vigie.patient, vigie.migration
    TO vigie_loader, vigie_registry;
GRANT INSERT, UPDATE ON vigie.organization, vigie.patient TO vigie_registry;
GRANT SELECT, INSERT, UPDATE ON vigie.device, vigie.device_assignment, vigie.source, vigie.collection_schedule,
    vigie.suspension, vigie.confirmation, vigie.reference_value TO vigie_registry;
GRANT SELECT, INSERT, DELETE ON vigie.source_device, vigie.role_organization TO vigie_registry;
GRANT SELECT, INSERT ON vigie.rule_version TO vigie_registry;
GRANT UPDATE (valid_from, committed_at) ON vigie.rule_version TO vigie_registry;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA vigie TO vigie_registry;
GRANT SELECT (organization_id, hash, patient_id, changed, changed_at), INSERT, UPDATE
    ON vigie_identity.patient_identifier TO vigie_registry;

GRANT INSERT, UPDATE ON vigie_identity.patient_identity TO vigie_identity;
GRANT SELECT (patient_id) ON vigie_identity.patient_identity TO vigie_identity;
GRANT EXECUTE ON FUNCTION vigie_identity.read_identity(text, text, text) TO vigie_identity;

GRANT SELECT ON audit.event TO vigie_registry;
GRANT EXECUTE ON FUNCTION audit.append(text, text, text, text, json) TO vigie_loader, vigie_registry, vigie_identity;
GRANT EXECUTE ON FUNCTION audit.verify() TO vigie_loader, vigie_registry;

GRANT SELECT ON vigie.parameter, vigie.visible_patient, vigie.reading_current, vigie.latest_reading, vigie.open_alert,
    vigie.alert_history, vigie.usage_month TO vigie_reader, vigie_loader;
GRANT EXECUTE ON FUNCTION vigie.readings(bigint, timestamptz, timestamptz), vigie.readings(text, timestamptz, timestamptz)
    TO vigie_reader, vigie_loader;
