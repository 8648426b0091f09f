/* import_private: what the files of the import share: the line at hand, its checked keys, and refusal. */
#ifndef VIGIE_DAEMON_REGISTRY_IMPORT_PRIVATE_H
#define VIGIE_DAEMON_REGISTRY_IMPORT_PRIVATE_H

#include "daemon/base/instant.h"
#include "daemon/registry/import.h"

enum import_form {
    FORM_REF,
    FORM_REF_OR_NULL,
    FORM_SCOPE,
    FORM_NAME,
    FORM_NAME_OR_NULL,
    FORM_TEXT,
    FORM_TIME,
    FORM_TIME_OR_NULL,
    FORM_NUMBER,
    FORM_COUNT,
    FORM_REFS,
    FORM_OBJECT,
    FORM_DIGEST,
    FORM_ROLE,
    FORMS
};

struct import {
    struct rows *rows;
    struct row_changes *changes;
    const struct import_options *options;
    struct import_fault *fault;
    struct import_result *result;
    const json_t *object; /* the line at hand: every key known, of its form, the mandatory ones there */
    unsigned line;
    uint64_t enrolled; /* new patients so far */
};

struct import_key {
    const char *name;
    enum import_form form;
    bool mandatory;
};

struct import_type {
    const char *name;
    const struct import_key *keys;
    unsigned keys_count;
    enum err (*apply)(struct import *import);
};

const struct import_type *import_type_by_name(const char *name); /* NULL: no such type */
const char *import_types_text(void);                             /* "organization, patient, …" */

/* Says no; always ERR_REFUSED. `found` may be NULL. */
enum err import_refuse(struct import *import, const char *what, const char *found, const char *expected,
                       const char *hint);

/* Keys of the line: NULL or INSTANT_NONE when missing or null. */
const char *import_text(const struct import *import, const char *key);
int64_t import_time(const struct import *import, const char *key);

/* Takes the row; counts the line as one that changed something unless it says the same. */
void import_put(struct import *import, void *row);

/* The enrolled one that the key names; NULL after import_refuse(). */
struct row_patient *import_patient(struct import *import, const char *key);

enum err import_apply_assignment(struct import *import);
enum err import_apply_rule(struct import *import);
enum err import_apply_suspension(struct import *import);

/* Checks that need the whole file: lines have silence rules, tokens are nobody else's, organisations agree.
 */
enum err import_check_whole(struct import *import);

/* The version of the rule with that id that is most specific for the patient, whatever its times; NULL: none.
 */
struct row_rule *import_rule_of_patient(const struct import *import, const struct row_patient *patient,
                                        const char *rule_id);
bool import_rule_is_silence(const struct row_rule *rule);

#endif
