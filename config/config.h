/* config: the operator's settings as an immutable snapshot; one row an option in config/options.def.
 * A field is named section_key ([node] state_dir -> node_state_dir). Owner: config_load() gives,
 * config_free() takes. Threads: any may read. Fails: ERR_CONFIG after one line `what, found, expected, hint`
 * per fault on `report`. */
#ifndef VIGIE_CONFIG_CONFIG_H
#define VIGIE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "daemon/base/cipher.h"
#include "daemon/base/err.h"
#include "daemon/base/instant.h"

enum config_mode { MODE_PRODUCTION, MODE_TEST };

/* Types of options.def and the C type of their field. */
typedef const char *config_TEXT; /* "" when not set */
typedef int64_t config_INTEGER;
typedef int64_t config_BYTES;    /* 64k, 16M, 1G */
typedef int64_t config_DURATION; /* ms; 250ms, 5s, 36h, 35d */
typedef bool config_BOOLEAN;     /* yes|no|on|off|true|false */
typedef int64_t config_INSTANT;  /* ms; INSTANT_NONE when not set */
typedef enum config_mode config_MODE;
typedef int config_LOG_LEVEL;
typedef int config_LOG_FORMAT;

struct config {
#define OPTION(section, key, type, initial, unit, reload, help) config_##type section##_##key;
#include "config/options.def"
#undef OPTION
    const char **kafka_rdkafka; /* "name", "value" pairs of `rdkafka.NAME = value`, NULL at the end */
    char *path;                 /* of the file */
};

MUST_CHECK enum err config_load(const char *path, void (*report)(void *context, const char *line),
                                void *context, struct config **ret_config);
void config_free(struct config *config);

/* What SIGHUP cannot change (column `reload` of options.def): one line on `report` for each option whose
 * value in `offered` is not the one in force; returns how many. */
unsigned config_fixed_changes(const struct config *in_force, const struct config *offered,
                              void (*report)(void *context, const char *line), void *context);

/* A secret of 32 bytes: `setting` is "credential:NAME" (file of $CREDENTIALS_DIRECTORY: 32 bytes raw or 64
 * hex digits) or a path. In mode=test a missing one is made at random in state_dir/NAME. */
MUST_CHECK enum err config_secret(const struct config *config, const char *setting, const char *name,
                                  uint8_t ret[32]);

/* [journal] key, which seals, and old_keys, which open too; every fault is told on `report` as above.
 * ERR_CONFIG: a key is missing or malformed. A missing `key` is made at random in mode=test only. */
MUST_CHECK enum err config_keys(const struct config *config, void (*report)(void *context, const char *line),
                                void *context, struct cipher_keys *ret_keys);

/* The address of a [listen] value: ADDRESS:PORT, [IPV6]:PORT or localhost:PORT.
 * ERR_EMPTY: "off" or not set; ERR_FORMAT: none of them. */
MUST_CHECK enum err config_address(const char *text, struct sockaddr_storage *ret_address);
bool config_address_is_loopback(const struct sockaddr_storage *address);
/* False for "off" and "". */
bool config_listens(const char *setting);
/* Listeners for senders that are open; `tls_only`: of these, those with TLS. */
unsigned config_listeners(const struct config *config, bool tls_only);

/* The file that a setting names: a path, or "credential:NAME" below $CREDENTIALS_DIRECTORY.
 * ERR_NOT_FOUND: no such directory is set; ERR_LIMIT: too long. */
MUST_CHECK enum err config_file(const char *setting, char *ret_path, size_t capacity);

/* Prints the example file from the rows: config/vigie.conf.example is its output (a test holds them
 * together). */
void config_print_example(void (*line)(void *context, const char *text), void *context);

#endif
