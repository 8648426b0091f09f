/* wallclock: a wall clock that a test moves, for LD_PRELOAD: CLOCK_REALTIME is the machine's plus the
 * milliseconds in the first 8 bytes of $WALLCLOCK_FILE, read anew at each call. Every other clock is the
 * machine's. A wait until an instant of that clock is put back onto the machine's. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ms;
static const int64_t zero;

static int64_t offset(void)
{
    if (offset_ms == NULL) {
        const char *path = getenv("WALLCLOCK_FILE");
        int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        offset_ms = page == MAP_FAILED ? &zero : page;
        if (fd >= 0)
            close(fd);
    }
    return *offset_ms;
}

static void move(struct timespec *time, int64_t ms)
{
    int64_t ns = time->tv_nsec + ms % 1000 * 1000000;
    time->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    time->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
    int status = (int)syscall(SYS_clock_gettime, id, time);
    if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        move(time, offset());
    return status;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

/* What librdkafka waits by: until an instant of the moved clock as it is now. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
    if (next == NULL)
        next = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec moved = *until;
    move(&moved, -offset());
    return next(condition, mutex, &moved);
}
