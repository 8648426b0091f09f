/* wakeup: an eventfd counts rings; a read takes them all, so any number of rings is one wake-up.
 * The descriptor does not block (PITFALLS K3): a full counter means that the sleeper is woken already. */
#include "daemon/base/wakeup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum err wakeup_open(struct wakeup *wakeup)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    wakeup->fd = fd;
    return OK;
}

void wakeup_close(struct wakeup *wakeup)
{
    if (wakeup->fd >= 0)
        (void)close(wakeup->fd);
    wakeup->fd = -1;
}

void wakeup_ring(struct wakeup *wakeup)
{
    const uint64_t one = 1;
    ssize_t size;
    do
        size = write(wakeup->fd, &one, sizeof(one));
    while (size < 0 && errno == EINTR);
    ensure(size == (ssize_t)sizeof(one) || errno == EAGAIN);
}

void wakeup_wait(struct wakeup *wakeup, int64_t timeout_ms)
{
    struct pollfd bell = {.fd = wakeup->fd, .events = POLLIN};
    int timeout = timeout_ms < 0 ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;

    int ready = poll(&bell, 1, timeout);
    ensure(ready >= 0 ||
           errno == EINTR); /* a signal is a wake-up without a ring: callers look for work anyway */
    uint64_t rings;
    if (ready > 0 && read(wakeup->fd, &rings, sizeof(rings)) < 0)
        ensure(errno == EAGAIN || errno == EINTR);
}
