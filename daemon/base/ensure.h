/* ensure: assertions that are always on.
 * A failed ensure() is a defect of ours, never bad input and never an operating error: it prints the
 * expression, the place and the thread, then aborts. The expression is evaluated exactly once.
 * Threads: any. */
#ifndef VIGIE_BASE_ENSURE_H
#define VIGIE_BASE_ENSURE_H

#define ensure(expression)                                                                                   \
    (__builtin_expect(!(expression), 0) ? ensure_failed(#expression, __FILE__, __LINE__) : (void)0)

/* The place that can never be reached. */
#define ensure_unreachable() ensure_failed("unreachable", __FILE__, __LINE__)

_Noreturn void ensure_failed(const char *expression, const char *file, int line);

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
