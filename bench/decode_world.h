/* decode_world: what a decoder needs of the world, without network and shards: a registry of patients with a
 * device each, one gateway that lists them, a loop, and a message of each patient in every form.
 * Owner: its holder. Threads: one. */
#ifndef VIGIE_BENCH_DECODE_WORLD_H
#define VIGIE_BENCH_DECODE_WORLD_H

#include "daemon/ingest/exchange.h"

enum decode_form { DECODE_CBOR, DECODE_JSON, DECODE_FHIR, DECODE_HL7, DECODE_FORMS };

struct decode_options {
    unsigned patients, readings; /* readings of a CBOR or JSON message */
};

struct decode_world;
struct decode_world *decode_world_new(const struct decode_options *options);
void decode_world_free(struct decode_world *world);

const char *decode_form_name(enum decode_form form);
const struct loop_context *decode_world_loop(const struct decode_world *world);
struct slice decode_world_body(const struct decode_world *world, enum decode_form form, unsigned patient);
unsigned decode_world_readings(const struct decode_world *world, enum decode_form form); /* of a message */
/* Hands the message to its door; gives how many readings were admitted: all of them, else it ends. */
unsigned decode_world_admit(struct decode_world *world, enum decode_form form, unsigned patient);

#endif
