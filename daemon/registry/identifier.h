/* identifier: how senders may call a patient, judged and hashed: the one way from (system, value) to the hash
 * that everything is matched by, for what is enrolled and for what payloads name. A matricule INS is checked
 * and brought into its one spelling first (daemon/model/ins.h), so that "urn:oid:" and spaces make no second
 * person; every other system is taken to the letter.
 * Owner:   the texts of the result are the caller's, static, or lie in the result itself. Threads: any. */
#ifndef VIGIE_DAEMON_REGISTRY_IDENTIFIER_H
#define VIGIE_DAEMON_REGISTRY_IDENTIFIER_H

#include "daemon/model/ins.h"
#include "daemon/registry/registry.h"

enum identifier_fault {
    IDENTIFIER_GOOD,
    IDENTIFIER_BAD_LENGTH, /* no value, or more than IDENTIFIER_BYTES_MAX: nobody's */
    IDENTIFIER_IS_TEST,    /* an INS of the test or demonstration domain, refused in mode=production */
    IDENTIFIER_BAD_SHAPE,  /* no matricule INS */
    IDENTIFIER_BAD_KEY,    /* its key does not follow from its number */
};

struct identifier {
    uint8_t hash[SHA256_BYTES];
    struct slice system; /* in the spelling that was hashed */
    char ins[INS_BYTES]; /* the value, where `is_ins` */
    bool is_ins;
};

struct identifier_key {
    const uint8_t *bytes; /* 32 */
    bool test_mode;
};

/* `ret` is set on IDENTIFIER_GOOD alone. A system not given is the empty one. */
enum identifier_fault identifier_read(struct identifier_key key, struct slice system, struct slice value,
                                      struct identifier *ret);

#endif
