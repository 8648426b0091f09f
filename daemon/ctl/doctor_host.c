/* doctor, this host: what vigied stands on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/doctor.h"

enum { PROBES = 9, PROBE_BYTES = 4096, SYNC_WARN_US = 20000, SYNC_FAIL_US = 500000 };

/* ---- clock ---- */

void doctor_clock(struct doctor *doctor)
{
    static const struct doctor_check synchronised = {
        "clock.synchronised", "a clock that NTP disciplines",
        "install chrony or enable systemd-timesyncd: times of alerts hang on it"};
    static const struct doctor_check error = {"clock.error", "at most 1 s",
                                              "chronyc tracking, or timedatectl timesync-status"};
    struct timex now = {.modes = 0};
    int state = adjtimex(&now);
    bool good = state >= 0 && state != TIME_ERROR && (now.status & STA_UNSYNC) == 0;
    /* Test data need no true time, and containers often cannot tell. */
    enum doctor_state bad = doctor->config->node_mode == MODE_TEST ? DOCTOR_WARN : DOCTOR_FAIL;
    doctor_tell(doctor, &synchronised, good ? DOCTOR_OK : bad, good ? "synchronised" : "not synchronised");
    if (good)
        doctor_tell(doctor, &error, now.maxerror <= 1000000 ? DOCTOR_OK : DOCTOR_WARN, "at most %.3f s off",
                    (double)now.maxerror / 1e6);
}

/* ---- disk ---- */

static void disk_space(struct doctor *doctor, const char *path)
{
    static const struct doctor_check check = {"disk.free", "twice [journal] low_water",
                                              "free or add space: below low_water readings are refused"};
    struct statvfs system;
    double low = (double)doctor->config->journal_low_water;
    if (statvfs(path, &system) != 0) {
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s: %s", path, strerror(errno));
        return;
    }
    double available = (double)system.f_bavail * (double)system.f_frsize;
    enum doctor_state state = available < low ? DOCTOR_FAIL : available < 2 * low ? DOCTOR_WARN : DOCTOR_OK;
    doctor_tell(doctor, &check, state, "%.1f GB free of %.1f GB, low_water %.1f GB", available / 1e9,
                (double)system.f_blocks * (double)system.f_frsize / 1e9, low / 1e9);
}

static void disk_kind(struct doctor *doctor, const char *path)
{
    static const struct doctor_check check = {"disk.filesystem",
                                              "a local file system that keeps what is synced",
                                              "put state_dir on ext4 or xfs of a disk of this host"};
    static const struct {
        unsigned long magic;
        const char *name;
        enum doctor_state state;
    } kinds[] = {
        {EXT4_SUPER_MAGIC, "ext4", DOCTOR_OK},
        {XFS_SUPER_MAGIC, "xfs", DOCTOR_OK},
        {BTRFS_SUPER_MAGIC, "btrfs", DOCTOR_OK},
        {TMPFS_MAGIC, "tmpfs", DOCTOR_FAIL},
        {RAMFS_MAGIC, "ramfs", DOCTOR_FAIL},
        {NFS_SUPER_MAGIC, "nfs", DOCTOR_WARN},
        {OVERLAYFS_SUPER_MAGIC, "overlayfs", DOCTOR_WARN},
        {FUSE_SUPER_MAGIC, "fuse", DOCTOR_WARN},
    };
    struct statfs system;
    if (statfs(path, &system) != 0)
        return; /* told with the space */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].magic == (unsigned long)system.f_type) {
            doctor_tell(doctor, &check, kinds[i].state, "%s", kinds[i].name);
            return;
        }
    doctor_tell(doctor, &check, DOCTOR_WARN, "type %lx, which is not known here",
                (unsigned long)system.f_type);
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Writes and syncs as a turn does; false with errno. */
static bool probe_syncs(int fd, int64_t ret_us[PROBES])
{
    char block[PROBE_BYTES] = "doctor";
    for (int i = 0; i < PROBES; i++) {
        int64_t before_ns = clock_monotonic_ns();
        if (pwrite(fd, block, sizeof block, (off_t)i * PROBE_BYTES) != PROBE_BYTES || fdatasync(fd) != 0)
            return false;
        ret_us[i] = (clock_monotonic_ns() - before_ns) / 1000;
    }
    qsort(ret_us, PROBES, sizeof ret_us[0], by_size);
    return true;
}

static void disk_sync(struct doctor *doctor, const char *state_dir)
{
    static const struct doctor_check check = {
        "disk.sync", "a median of at most 20 ms, and never half a second",
        "every answer to a sender waits for one: look for a slow or shared disk"};
    char path[PATH_MAX];
    int64_t us[PROBES] = {0};
    snprintf(path, sizeof path, "%s/doctor.probe", state_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && probe_syncs(fd, us);
    int error = errno;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    if (!good) {
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s: %s", path, strerror(error));
        return;
    }
    bool slow = us[PROBES - 1] > SYNC_FAIL_US;
    doctor_tell(doctor, &check,
                slow                            ? DOCTOR_FAIL
                : us[PROBES / 2] > SYNC_WARN_US ? DOCTOR_WARN
                                                : DOCTOR_OK,
                "median %.2f ms, worst of %d %.2f ms", (double)us[PROBES / 2] / 1e3, PROBES,
                (double)us[PROBES - 1] / 1e3);
}

void doctor_disk(struct doctor *doctor)
{
    disk_space(doctor, doctor->config->node_state_dir);
    disk_kind(doctor, doctor->config->node_state_dir);
    disk_sync(doctor, doctor->config->node_state_dir);
}

/* ---- keys ---- */

/* Where a credential comes from when we are not the unit: the file that LoadCredential copies. */
static void find_key(const struct config *config, const char *setting, const char *name, char path[PATH_MAX])
{
    static const char prefix[] = "credential:";
    if (config_file(setting, path, PATH_MAX) != OK)
        snprintf(path, PATH_MAX, "/etc/vigie/%s",
                 strncmp(setting, prefix, sizeof prefix - 1) == 0 ? setting + sizeof prefix - 1 : name);
    if (access(path, F_OK) != 0 && config->node_mode == MODE_TEST)
        snprintf(path, PATH_MAX, "%s/%s", config->node_state_dir, name);
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static void look_at_key(struct doctor *doctor, const char *check_name, const char *setting, const char *name)
{
    const struct doctor_check check = {
        check_name, "a file of 32 bytes or 64 hexadecimal digits, 0600, outside state_dir",
        "head -c 32 /dev/urandom >/etc/vigie/KEY; chmod 600; keep a copy elsewhere: without "
        "the key the journal is lost"};
    char path[PATH_MAX];
    struct stat status;
    find_key(doctor->config, setting, name, path);
    if (stat(path, &status) != 0)
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s: %s", path, strerror(errno));
    else if (status.st_size != 32 && status.st_size != 64 && status.st_size != 65)
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s of %lld bytes", path, (long long)status.st_size);
    else if ((status.st_mode & 077) != 0)
        doctor_tell(doctor, &check, DOCTOR_FAIL, "%s with mode %04o: others can read it", path,
                    (unsigned)status.st_mode & 07777);
    else if (is_below(path, doctor->config->node_state_dir) && doctor->config->node_mode != MODE_TEST)
        doctor_tell(doctor, &check, DOCTOR_WARN, "%s: it is stolen with what it protects", path);
    else
        doctor_tell(doctor, &check, DOCTOR_OK, "%s, %04o", path, (unsigned)status.st_mode & 07777);
}

void doctor_keys(struct doctor *doctor)
{
    look_at_key(doctor, "keys.journal", doctor->config->journal_key, "journal-key");
    look_at_key(doctor, "keys.identifier", doctor->config->auth_identifier_key, "identifier-key");
}

/* ---- unit ---- */

void doctor_unit(struct doctor *doctor)
{
    static const struct doctor_check check = {"unit.installed", "vigied.service of systemd",
                                              "make install, then systemctl enable --now vigied"};
    static const char *const places[] = {"/etc/systemd/system/vigied.service",
                                         "/lib/systemd/system/vigied.service",
                                         "/usr/lib/systemd/system/vigied.service"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], F_OK) == 0) {
            doctor_tell(doctor, &check, DOCTOR_OK, "%s", places[i]);
            return;
        }
    doctor_tell(doctor, &check, DOCTOR_WARN, "none: nothing restarts vigied, and it runs without sandbox");
}
