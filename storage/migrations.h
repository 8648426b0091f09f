/* migrations: the files of storage/migrations/ inside the program, in order of their numbers.
 * Number 0 (roles) runs at every migration, the others once. Threads: constants. */
#ifndef VIGIE_STORAGE_MIGRATIONS_H
#define VIGIE_STORAGE_MIGRATIONS_H

struct migration {
    int number;
    const char *name; /* "001_schema" */
    const char *text; /* SQL */
};

extern const struct migration migrations[];
extern const unsigned migrations_count;

#endif
