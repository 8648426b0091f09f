/* dribble: peers that mean no good, on a thread of their own: TLS connections that send a byte a second in
 * the handshake, in a header or in a body, or that begin handshakes as fast as they can. Owner: its holder.
 * Threads: dribble_start() and dribble_stop() on the holder's. */
#ifndef VIGIE_BENCH_DRIBBLE_H
#define VIGIE_BENCH_DRIBBLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum dribble_kind {
    DRIBBLE_HELLO,  /* the first record of the handshake, byte by byte */
    DRIBBLE_FINISH, /* the last */
    DRIBBLE_HEADER, /* the handshake is done; the header in records of one byte */
    DRIBBLE_BODY,   /* the header is whole and good; the body in records of one byte */
    DRIBBLE_FLOOD,  /* a whole first record, again and again: each costs the server a signature */
    DRIBBLE_KINDS
};

struct dribble_options {
    int port;
    const char *token;
    unsigned count[DRIBBLE_KINDS]; /* connections of each kind, opened again when they are cut */
};

struct dribble_figures {
    _Atomic uint64_t open, established;  /* at the moment */
    _Atomic uint64_t cut[DRIBBLE_KINDS]; /* by the server, so far */
};

struct dribble;
struct dribble *dribble_start(const struct dribble_options *options);
const struct dribble_figures *dribble_figures(const struct dribble *dribble);
void dribble_stop(struct dribble *dribble);

#endif
