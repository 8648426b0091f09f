/* The SQL files are taken in by the assembler as they are, so that a file reads, diffs and runs with psql as
 * SQL. Each ends with a zero byte and is a C string here. Paths are from the root of the tree, as all include
 * paths. */
#include "storage/migrations.h"

/*            number  name */
#define MIGRATION_ROWS(MIGRATION)                                                                            \
    MIGRATION(0, "000_roles", roles)                                                                         \
    MIGRATION(1, "001_schema", schema)                                                                       \
    MIGRATION(2, "002_views", views)                                                                         \
    MIGRATION(3, "003_grants", grants)                                                                       \
    MIGRATION(4, "004_store_event", store_event)                                                             \
    MIGRATION(5, "005_admin_token", admin_token)                                                             \
    MIGRATION(6, "006_registry_touch", registry_touch)                                                       \
    MIGRATION(7, "007_silence_guard", silence_guard)                                                         \
    MIGRATION(8, "008_replay", replay)                                                                       \
    MIGRATION(9, "009_alert_life", alert_life)                                                               \
    MIGRATION(10, "010_device_event", device_event)                                                          \
    MIGRATION(11, "011_late_resend", late_resend)                                                            \
    MIGRATION(12, "012_rejected", rejected)                                                                  \
    MIGRATION(13, "013_quarantine_release", quarantine_release)

#define MIGRATION_TEXT(number, file, symbol)                                                                 \
    extern const char migration_##symbol[];                                                                  \
    __asm__(".pushsection .rodata\n"                                                                         \
            "migration_" #symbol ":\n"                                                                       \
            ".incbin \"storage/migrations/" file ".sql\"\n"                                                  \
            ".byte 0\n"                                                                                      \
            ".popsection\n");
MIGRATION_ROWS(MIGRATION_TEXT)

const struct migration migrations[] = {
#define MIGRATION_ENTRY(number, file, symbol) {number, file, migration_##symbol},
    MIGRATION_ROWS(MIGRATION_ENTRY)
#undef MIGRATION_ENTRY
};

const unsigned migrations_count = sizeof(migrations) / sizeof(migrations[0]);
