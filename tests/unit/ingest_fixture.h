/* ingest_fixture: what decoders and admission need of the world: a small registry, a loop, and a stand-in for
 * the shard that knows duplicates and quarantine.
 *
 *   organisation 1: P-1 (Paris; identifiers below), P-2, P-3 (left 2026-03-01)      organisation 2: P-9
 *   SN-1 (serial S1): P-1 since 2010 · SN-2: P-2 since 2026-01-01 · SN-3: nobody's, listed by gw · SN-4: P-1
 * in 2020, from 06:00Z on SN-9: P-9 · hddt devices of the samples: P-1 sources: dev (SN-1) · gw (SN-1, SN-2,
 * SN-3, SN-4) · sys · pat (P-1) · other (system of organisation 2) glucometer, cgm, fev (kind device, each
 * with its hddt device)
 */
#ifndef VIGIE_TESTS_INGEST_FIXTURE_H
#define VIGIE_TESTS_INGEST_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ingest/exchange.h"
#include "daemon/model/ticket.h"

#define FIXTURE_HL7 "hl7" /* in the place of a path: the door of the MLLP listeners */

/* Makes the world at its first call. */
struct loop_context *fixture_loop(void);

/* Sends a body through a door as the source (NULL: none); `if_none_exist` may be NULL. The exchange that it
 * gives is valid until the next call; its ticket still holds the readings. */
struct exchange *fixture_send_as(const char *source, const char *path, const char *if_none_exist,
                                 const char *body, size_t size);
/* Through a door without a path, by a transport that names a device, or none. */
struct exchange *fixture_publish(const char *source, const struct door *door, const char *device,
                                 const char *body);
struct exchange *fixture_send(const char *source, const char *path, const char *body);
struct exchange *fixture_send_cbor(const char *source, const void *body, size_t size); /* to /v1/readings */
void fixture_set_mode(enum config_mode mode); /* production until then */
void fixture_forget(void);                    /* the shard forgets what it held */
uint32_t fixture_held(void);                  /* how many it holds */
void fixture_hold(uint32_t count);            /* and forgets all later ones */

const struct exchange *fixture_exchange(void); /* the message that was sent last */
/* The answer's text, zero-ended. */
const char *fixture_text(void);
bool fixture_says(const char *fragment);
/* Reading i of the last message; its tail field. */
const struct reading *fixture_reading(uint32_t index);
bool fixture_tail_is(uint32_t index, enum tail_tag tag, const char *text);

#endif
