/* ins: the matricule of the French national health identity (INS): 13 characters and a key of two digits.
 *
 *   s yy mm dd ccc ooo kk      s 1 to 8 · mm 01 to 12, 20 to 99 where the month is unknown ·
 *   dd two digits, 2A or 2B in Corsica · kk = 97 - (n mod 97), so 01 to 97 and never 00, where n is the
 *   number of the 13 characters with 19 in the place of 2A and 18 in that of 2B
 *
 * NIR and NIA have one shape; the first digits 3 to 8 are those of persons being registered. Sources:
 * REGULATION.md section 2.1 ("INS identifier facts"). What the texts leave open, decided here:
 * - A value without its key is refused: the key is checked before anybody is looked for (INS 8), and 13
 *   characters with a digit wrong could be another person's.
 * - Spaces (also the unbreakable ones of typed documents) and the case of 2A and 2B mean nothing; any other
 *   character is a fault. No other identifier system is normalised.
 * Threads: pure functions. */
#ifndef VIGIE_MODEL_INS_H
#define VIGIE_MODEL_INS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/model/reading.h"

enum ins_kind {
    INS_NONE, /* another system */
    INS_NIR,  /* 1.2.250.1.213.1.4.8 */
    INS_NIA,  /* .9, numbers given while a person is being registered */
    INS_TEST, /* .10, of nobody: test environments alone */
    INS_DEMO, /* .11, the same */
};

enum ins_fault { INS_GOOD, INS_BAD_SHAPE, INS_BAD_KEY };

enum { INS_BODY_BYTES = 13, INS_BYTES = 15 };

/* Which kind the system names: "urn:oid:" (in any case) and one of the OIDs above, or the OID alone. */
enum ins_kind ins_kind_of(struct slice system);
/* The one spelling of a kind that is hashed: static; INS_NONE has none. */
struct slice ins_system(enum ins_kind kind);

/* The value in its one spelling, and whether its key is right. */
enum ins_fault ins_parse(struct slice value, char ret[INS_BYTES]);
/* Whether 13 characters in upper case have the shape of a matricule without its key. */
bool ins_is_body(const char body[INS_BODY_BYTES]);

#endif
