/* cases: the evaluator itself against episodes counted by hand. Threads: one at a time. */
#ifndef VIGIE_TESTS_REFERENCE_CASES_H
#define VIGIE_TESTS_REFERENCE_CASES_H

/* Prints what differs and `N passed, N failed`; 0 when all passed. */
int cases_run(void);

#endif
