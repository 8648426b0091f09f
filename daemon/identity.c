/* identity: state_dir/identity is four lines of key=value, replaced atomically (PITFALLS F2). */
#include "daemon/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/base/hash.h"
#include "daemon/base/limits.h"
#include "daemon/base/log.h"

enum { IDENTITY_FORMAT = 1 };

static enum err lock_directory(const char *state_dir, int *ret_fd)
{
    if (mkdir(state_dir, 0700) != 0 && errno != EEXIST) {
        log_write(LOG_ERROR, "identity",
                  "cannot make state_dir path=%s found=%s expected=a directory that vigied may "
                  "write hint=create it for the user of vigied",
                  state_dir, strerror(errno));
        return err_from_errno(errno);
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_write(LOG_ERROR, "identity", "cannot open lock path=%s found=%s", path, strerror(errno));
        return err_from_errno(errno);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        log_write(LOG_ERROR, "identity",
                  "state_dir is in use path=%s found=a lock expected=none hint=another vigied "
                  "runs on it; stop it or give this one its own state_dir",
                  state_dir);
        close(fd);
        return ERR_BUSY;
    }
    *ret_fd = fd;
    return OK;
}

static enum err read_identity(const char *path, struct identity *identity)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_from_errno(errno);
    unsigned format = 0;
    int fields = fscanf(file, "format=%u\nnode=%" SCNx64 "\nshards=%" SCNu32 "\nepoch=%" SCNu64, &format,
                        &identity->node, &identity->shards, &identity->epoch);
    fclose(file);
    if (fields == 4 && format == IDENTITY_FORMAT && identity->shards >= 1 && identity->shards <= SHARDS_MAX)
        return OK;
    log_write(LOG_ERROR, "identity",
              "identity cannot be read path=%s found=%d good fields, format %u expected=4 fields, "
              "format %d hint=restore the file from a backup of state_dir; never make a new one",
              path, fields, format, IDENTITY_FORMAT);
    return ERR_CORRUPT;
}

static enum err write_identity(const char *path, const struct identity *identity)
{
    char text[256];
    int size =
        snprintf(text, sizeof text, "format=%d\nnode=%016" PRIx64 "\nshards=%" PRIu32 "\nepoch=%" PRIu64 "\n",
                 IDENTITY_FORMAT, identity->node, identity->shards, identity->epoch);
    return file_replace(path, text, (size_t)size, 0600);
}

static enum err check_shards(const char *path, const struct identity *identity, uint32_t asked)
{
    if (asked == 0 || asked == identity->shards)
        return OK;
    log_write(LOG_ERROR, "identity",
              "[node] shards differs from %s found=%u expected=%u hint=leave shards out, or move "
              "the patients with vigiectl journal reshard",
              path, (unsigned)asked, (unsigned)identity->shards);
    return ERR_CONFIG;
}

enum err identity_open(const char *state_dir, uint32_t shards, uint32_t shards_default,
                       struct identity *ret_identity)
{
    struct identity identity = {.lock_fd = -1};
    enum err error = lock_directory(state_dir, &identity.lock_fd);
    if (error != OK)
        return error;
    char path[4096];
    snprintf(path, sizeof path, "%s/identity", state_dir);
    error = read_identity(path, &identity);
    if (error == ERR_NOT_FOUND) {
        identity.shards = shards != 0 ? shards : shards_default;
        error = hash_random(&identity.node, sizeof identity.node);
        identity.node &= INT64_MAX; /* a bigint in PostgreSQL */
    }
    if (error == OK)
        error = check_shards(path, &identity, shards);
    if (error == OK) {
        identity.epoch++;
        error = write_identity(path, &identity);
    }
    if (error != OK) {
        identity_close(&identity);
        return error;
    }
    *ret_identity = identity;
    return OK;
}

enum err identity_read(const char *state_dir, struct identity *ret_identity)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/identity", state_dir);
    struct identity identity = {.lock_fd = -1};
    enum err error = read_identity(path, &identity);
    if (error == OK)
        *ret_identity = identity;
    return error;
}

void identity_close(struct identity *identity)
{
    if (identity->lock_fd >= 0)
        close(identity->lock_fd);
    identity->lock_fd = -1;
}
