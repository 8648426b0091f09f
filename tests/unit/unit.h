/* unit: the CUnit runner. A suite file defines its tests and is one row of tests/unit/suites.def; suites run
 * lowest layer first, so that the first red line is the cause. */
#ifndef VIGIE_TESTS_UNIT_H
#define VIGIE_TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

struct unit_test {
    const char *name;
    void (*run)(void);
};

/* How many seeds a search takes. ThreadSanitizer makes it fifteen times slower and finds nothing in code of
 * one thread: a part of them does. */
#ifdef __SANITIZE_THREAD__
#define SEEDS(count) ((count) > 20 ? (count) / 20 : 1)
#else
#define SEEDS(count) (count)
#endif

/* A suite: an array of tests that ends with {NULL, NULL}. */
#define SUITE(name) const struct unit_test suite_##name[]

#endif
