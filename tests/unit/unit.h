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

/* A suite: an array of tests that ends with {NULL, NULL}. */
#define SUITE(name) const struct unit_test suite_##name[]

#endif
