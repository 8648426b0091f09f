/* ensure: what a defect leaves behind.
 *
 * ensure_failed() writes with dprintf() and backtrace_symbols_fd(), which need no heap: the heap may be what
 * is broken. It ends in abort(), so that a core dump is taken and the supervisor starts a process that
 * recovers from the journal, the only state we trust. */
#include "daemon/base/ensure.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

_Noreturn void ensure_failed(const char *expression, const char *file, int line)
{
    char name[16] = "?";
    void *frames[FRAMES_MAX];

    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    dprintf(STDERR_FILENO, "level=error area=ensure broken expression=\"%s\" place=%s:%d thread=%s tid=%d\n",
            expression, file, line, name, (int)gettid());
    int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    abort();
}
