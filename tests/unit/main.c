/* Runs every suite of suites.def, or those named as arguments; ends on a line "N passed, N failed". */
#include <stdio.h>
#include <string.h>

#include "daemon/model/parameter.h"
#include "tests/unit/unit.h"

#define SUITE_ROW(name) extern const struct unit_test suite_##name[];
#include "tests/unit/suites.def"
#undef SUITE_ROW

static const struct {
    const char *name;
    const struct unit_test *tests;
} suites[] = {
#define SUITE_ROW(name) {#name, suite_##name},
#include "tests/unit/suites.def"
#undef SUITE_ROW
    {NULL, NULL},
};

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc < 2;
}

static void add_suite(const char *name, const struct unit_test *tests)
{
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (const struct unit_test *test = tests; test->name != NULL; test++)
        CU_add_test(suite, test->name, test->run);
}

int main(int argc, char **argv)
{
    if (parameter_init() != OK || CU_initialize_registry() != CUE_SUCCESS)
        return 70;
    for (size_t i = 0; suites[i].name != NULL; i++)
        if (wanted(suites[i].name, argc, argv))
            add_suite(suites[i].name, suites[i].tests);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_tests_failed(), run = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    printf("%u passed, %u failed\n", run - failed, failed);
    return failed == 0 && run > 0 ? 0 : 1;
}
