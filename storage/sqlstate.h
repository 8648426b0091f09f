/* sqlstate: what an error of PostgreSQL asks for. Threads: pure. */
#ifndef VIGIE_STORAGE_SQLSTATE_H
#define VIGIE_STORAGE_SQLSTATE_H

enum sqlstate_action {
    SQLSTATE_RETRY,  /* the server or the link; the same statement may succeed later */
    SQLSTATE_BISECT, /* one row is not storable: find it, put it aside, load the rest */
    SQLSTATE_STOP,   /* schema, rights or database are not as they must be: an operator is needed */
};

/* `sqlstate`: five characters, or "" for a lost link. */
enum sqlstate_action sqlstate_action(const char *sqlstate);

#endif
