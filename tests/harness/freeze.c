/* freeze: preloaded into vigied, it stops one thread on command. While the file $VIGIED_FREEZE/<name of the
 * thread> exists, that thread does not return from poll() or epoll; while $VIGIED_FREEZE/sync exists, no
 * fdatasync() returns. SIGSTOP would stop the whole process. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

static void freeze(const char *name)
{
    const char *directory = getenv("VIGIED_FREEZE");
    char path[4096];
    int error = errno; /* callers look at it */
    snprintf(path, sizeof path, "%s/%s", directory == NULL ? "/nonexistent" : directory, name);
    while (access(path, F_OK) == 0)
        usleep(20000);
    errno = error;
}

static void freeze_thread(void)
{
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    freeze(name);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    static int (*next)(struct pollfd *, nfds_t, int);
    if (next == NULL)
        next = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    int result = next(fds, count, timeout);
    freeze_thread();
    return result;
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size)
{
    return poll(fds, count, timeout);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    return epoll_pwait(fd, events, count, timeout, NULL);
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);
    if (next == NULL)
        next =
            (int (*)(int, struct epoll_event *, int, int, const sigset_t *))dlsym(RTLD_NEXT, "epoll_pwait");
    int result = next(fd, events, count, timeout, mask);
    freeze_thread();
    return result;
}

int fdatasync(int fd)
{
    static int (*next)(int);
    if (next == NULL)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    freeze("sync");
    return next(fd);
}
