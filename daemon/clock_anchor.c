/* clock_anchor: one line, "BOOT-ID OFFSET", replaced atomically. */
#include "daemon/clock_anchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/instant.h"

enum { MOVED_MS = 1000 };

/* The first line of a file without its end; "" when there is none. */
static void read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(line, size, file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
}

void clock_anchor_open(struct clock_anchor *anchor, const char *state_dir)
{
    char line[128], boot[40];
    long long offset_ms;
    *anchor = (struct clock_anchor){.offset_ms = INSTANT_NONE};
    snprintf(anchor->path, sizeof anchor->path, "%s/clock", state_dir);
    const char *boot_id = getenv("VIGIE_BOOT_ID"); /* of the unit, whose sandbox hides /proc/sys */
    if (boot_id != NULL && strlen(boot_id) < sizeof anchor->boot && strpbrk(boot_id, " \n") == NULL)
        snprintf(anchor->boot, sizeof anchor->boot, "%s", boot_id);
    else
        read_line("/proc/sys/kernel/random/boot_id", anchor->boot, sizeof anchor->boot);
    read_line(anchor->path, line, sizeof line);
    if (anchor->boot[0] != '\0' && sscanf(line, "%39s %lld", boot, &offset_ms) == 2 &&
        strcmp(boot, anchor->boot) == 0)
        anchor->offset_ms = offset_ms;
}

int64_t clock_anchor_expected_ms(const struct clock_anchor *anchor)
{
    return anchor->offset_ms == INSTANT_NONE ? INSTANT_NONE : clock_since_boot_ms() + anchor->offset_ms;
}

enum err clock_anchor_keep(struct clock_anchor *anchor, int64_t engine_offset_ms)
{
    int64_t offset_ms = engine_offset_ms + clock_monotonic_ms() - clock_since_boot_ms();
    int64_t moved_ms = anchor->offset_ms == INSTANT_NONE ? MOVED_MS + 1 : offset_ms - anchor->offset_ms;
    if (anchor->boot[0] == '\0' || (moved_ms <= MOVED_MS && moved_ms >= -MOVED_MS))
        return OK;
    char line[128];
    int size = snprintf(line, sizeof line, "%s %lld\n", anchor->boot, (long long)offset_ms);
    enum err error = file_replace(anchor->path, line, (size_t)size, 0600);
    if (error == OK)
        anchor->offset_ms = offset_ms;
    return error;
}
