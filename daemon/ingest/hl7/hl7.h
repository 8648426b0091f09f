/* hl7: HL7 v2 messages of devices, over MLLP (mllp.h): ORU^R01, readings as IHE PCD-01 sends them, and
 * ORU^R40, device alarms as PCD-04 does: INTERFACES.md section 4, INTEROP.md section 3.3. The acknowledgement
 * is that of table H8 there (hl7_ack.c). Owner:   a constant table. Threads: the loop's. Holds:   one head
 * for each OBX row that claims a reading, one for a message that is refused as a whole, one for each alarm;
 * rows that claim nothing have none. One pass over the message.
 *
 * What the specifications leave open, decided here:
 * - Type, event, version and processing id are judged first (AR, 200 to 203), then character set and control
 *   id (AE). A processing id that is not P, D or T is refused as D and T are in mode=production.
 * - An INS counts unless PID-32 is there and does not say VALI; no other use is made of PID.
 * - OBX-18 names the device: its identifiers against `ref`, then `serial`; a row without has that of the
 *   nearest device row above it in OBX-4. A row without type and value is a device row.
 * - Skipped, counted, no error: a row without a value or result (OBX-11 X, I, O, N; OBX-8 INV, NAV, CAL), a
 *   code that is never a patient's value, a row of text that is no parameter of ours, the special values of
 *   ISO/IEEE 11073-20601 and a weight or height of 0 (monitors send it for "not measured": no quarantine for
 *   each of them), in mode=production rows that OBX-8 calls TEST or DEMO.
 * - A code that is not known is decided by its reference identifier, with a warning (ERR 0, severity W); two
 *   that name two parameters, or two units, are refused. Codes go by MDC, LOINC, SNOMED CT, NCIt. A unit
 *   without a coding system is taken when it is a UCUM code of that parameter to the letter.
 * - OBX-11: R is preliminary (not verified), as P and S; U and empty are final; C corrects, D and W void,
 * with MSH-7 as version time (RULES.md section 1).
 * - A time without offset has that of the next above it: device rows by OBX-4, OBR-7, then MSH-7, whose
 * offset (never whose time) is the message's by HL7; it is told in the reading's context: "time_offset":
 *   "inherited", or "unknown" for -0000.
 * - A number may stand in NM, SN (with its comparator) and ST; OBX-8 "<" and ">" are comparators too.
 * - Blood pressures of one time, device and OBX-4 parent under one OBR are one group. */
#ifndef VIGIE_INGEST_HL7_H
#define VIGIE_INGEST_HL7_H

#include "daemon/ingest/exchange.h"

/* handle() decodes exchange->body, a message without its frame; the answer in exchange->out has none either,
 * and is empty when the sender wants none. */
extern const struct door hl7_door;

/* Answers a message, or what has come of it, that the network side cannot take. */
void hl7_refuse(const struct loop_context *loop, struct exchange *exchange,
                const struct exchange_fault *fault);

#endif
