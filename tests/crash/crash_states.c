/* crash_states: what the journal makes of every disk that a power cut may leave, FAULTS.md section 5, L1.
 *
 * A workload runs on the real journal while the calls that change files are recorded (this program defines
 * pwrite, fdatasync, fsync, rename, truncate and unlink itself). A crash point is a place in that record.
 * What was synced before it is on the disk; of what was not, any subset of 512-byte sectors, each perhaps
 * torn, and any prefix of the changes of names. Each such disk is laid out in a directory, the journal is
 * opened on it, and then
 *   - every acknowledged turn is there, whole, once, in order; the open turn is there whole or not at all;
 *   - a new turn can be written behind them, at positions never used before; verification finds nothing;
 *   - now and then the recovery itself is recorded and crashed, three deep;
 *   - now and then the process is killed first: its unsynced bytes stay in the page cache, the restarted
 * process sees them, and the power goes after that (PITFALLS F6).
 *
 * crash_states [--states N] [--seed S] [--directory D] [--lie]
 * Prints "N states, M failures"; exit 1 when M > 0. --lie: syncs promise and do nothing; a good checker must
 * fail. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "storage/journal.h"
#include "storage/journal_position.h"
#include "tests/harness/test_keys.h"

enum {
    SECTOR = 512,
    SEGMENT = 16384,
    TURNS = 10,    /* of a workload */
    VARIANTS = 10, /* disks tried at one crash point */
    DEPTH_MAX = 3,
    NEST_EVERY = 200, /* one state in so many has its recovery crashed too */
    NEST_POINTS = 4,  /* crash points tried in such a recovery */
    NAMES_MAX = 64,
    FILES_MAX = 64,
};

/* --- the record
 * ---------------------------------------------------------------------------------------------- */

enum op_kind {
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_CREATE,
    OP_RENAME,
    OP_UNLINK,
    OP_SYNC_NAMES,
    OP_BEGIN,
    OP_ACK,
    OP_SERVED
};

struct op {
    enum op_kind kind;
    ino_t inode;
    uint64_t offset, size; /* OP_TRUNCATE: size; OP_BEGIN: offset = highest position given out;
                            * OP_SERVED: offset = turns that a start found and served */
    uint8_t *bytes;
    char name[32], to[32];
};

struct trace {
    struct op *ops;
    size_t count, capacity;
    ino_t known[FILES_MAX]; /* inodes whose creation is in the record or before it */
    size_t known_count;
};

static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static struct trace *recording; /* NULL: calls pass through */
static char directory[128];
static bool syncs_lie;

static struct op *add_op(enum op_kind kind)
{
    struct trace *trace = recording;
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity * 2 + 256;
        trace->ops = realloc(trace->ops, trace->capacity * sizeof(*trace->ops));
        ensure(trace->ops != NULL);
    }
    struct op *op = &trace->ops[trace->count++];
    *op = (struct op){.kind = kind};
    return op;
}

static void copy_name(char out[32], const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, 32, "%.31s", slash != NULL ? slash + 1 : path);
}

/* The first write to an inode not seen before is where its creation is put into the record. */
static void know_inode(int fd, ino_t inode)
{
    char link[64], path[256];
    for (size_t index = 0; index < recording->known_count; index++)
        if (recording->known[index] == inode)
            return;
    ensure(recording->known_count < FILES_MAX);
    recording->known[recording->known_count++] = inode;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    ensure(length > 0);
    path[length] = '\0';
    struct op *op = add_op(OP_CREATE);
    op->inode = inode;
    copy_name(op->name, path);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    pthread_mutex_lock(&record_lock);
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, size, offset);
    struct stat status;
    if (recording != NULL && done > 0 && fstat(fd, &status) == 0) {
        know_inode(fd, status.st_ino);
        struct op *op = add_op(OP_WRITE);
        op->inode = status.st_ino;
        op->offset = (uint64_t)offset;
        op->size = (uint64_t)done;
        op->bytes = malloc((size_t)done);
        ensure(op->bytes != NULL);
        memcpy(op->bytes, bytes, (size_t)done);
    }
    pthread_mutex_unlock(&record_lock);
    return done;
}

static int record_sync(int fd)
{
    struct stat status;
    pthread_mutex_lock(&record_lock);
    if (recording != NULL && !syncs_lie && fstat(fd, &status) == 0)
        add_op(S_ISDIR(status.st_mode) ? OP_SYNC_NAMES : OP_SYNC)->inode = status.st_ino;
    pthread_mutex_unlock(&record_lock);
    return 0; /* the directory is memory: nothing to wait for */
}

int fdatasync(int fd)
{
    return record_sync(fd);
}

int fsync(int fd)
{
    return record_sync(fd);
}

int rename(const char *from, const char *to)
{
    pthread_mutex_lock(&record_lock);
    int result = (int)syscall(SYS_rename, from, to);
    if (recording != NULL && result == 0) {
        struct op *op = add_op(OP_RENAME);
        copy_name(op->name, from);
        copy_name(op->to, to);
    }
    pthread_mutex_unlock(&record_lock);
    return result;
}

int unlink(const char *path)
{
    pthread_mutex_lock(&record_lock);
    int result = (int)syscall(SYS_unlink, path);
    if (recording != NULL && result == 0)
        copy_name(add_op(OP_UNLINK)->name, path);
    pthread_mutex_unlock(&record_lock);
    return result;
}

int truncate(const char *path, off_t size)
{
    struct stat status;
    pthread_mutex_lock(&record_lock);
    int result = (int)syscall(SYS_truncate, path, size);
    if (recording != NULL && result == 0 && stat(path, &status) == 0) {
        struct op *op = add_op(OP_TRUNCATE);
        op->inode = status.st_ino;
        op->size = (uint64_t)size;
    }
    pthread_mutex_unlock(&record_lock);
    return result;
}

static void mark(enum op_kind kind, uint64_t position)
{
    pthread_mutex_lock(&record_lock);
    if (recording != NULL)
        add_op(kind)->offset = position;
    pthread_mutex_unlock(&record_lock);
}

static void free_trace(struct trace *trace)
{
    for (size_t index = 0; index < trace->count; index++)
        free(trace->ops[index].bytes);
    free(trace->ops);
}

/* --- a disk
 * -------------------------------------------------------------------------------------------------- */

struct image {
    ino_t inode;
    uint8_t *bytes;
    uint64_t size, capacity;
};

struct name {
    char name[32];
    ino_t inode;
};

struct disk {
    struct image files[FILES_MAX];
    size_t files_count;
    struct name names[NAMES_MAX];
    size_t names_count;
};

static struct image *find_image(struct disk *disk, ino_t inode)
{
    for (size_t index = 0; index < disk->files_count; index++)
        if (disk->files[index].inode == inode)
            return &disk->files[index];
    ensure(disk->files_count < FILES_MAX);
    struct image *image = &disk->files[disk->files_count++];
    *image = (struct image){.inode = inode};
    return image;
}

static void patch_image(struct image *image, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    if (offset + size > image->capacity) {
        image->capacity = offset + size + SEGMENT;
        image->bytes = realloc(image->bytes, image->capacity);
        ensure(image->bytes != NULL);
    }
    if (offset > image->size)
        memset(image->bytes + image->size, 0, offset - image->size);
    memcpy(image->bytes + offset, bytes, size);
    if (offset + size > image->size)
        image->size = offset + size;
}

static void drop_name(struct disk *disk, const char *name)
{
    for (size_t index = 0; index < disk->names_count; index++)
        if (strcmp(disk->names[index].name, name) == 0)
            disk->names[index--] = disk->names[--disk->names_count];
}

static void set_name(struct disk *disk, const char *name, ino_t inode)
{
    drop_name(disk, name);
    ensure(disk->names_count < NAMES_MAX);
    struct name *entry = &disk->names[disk->names_count++];
    memcpy(entry->name, name, sizeof(entry->name));
    entry->inode = inode;
}

static void change_names(struct disk *disk, const struct op *op)
{
    if (op->kind == OP_CREATE)
        set_name(disk, op->name, op->inode);
    if (op->kind == OP_UNLINK)
        drop_name(disk, op->name);
    for (size_t index = 0; op->kind == OP_RENAME && index < disk->names_count; index++) {
        if (strcmp(disk->names[index].name, op->name) != 0)
            continue;
        ino_t inode = disk->names[index].inode;
        drop_name(disk, op->name);
        set_name(disk, op->to, inode);
        return;
    }
}

static void copy_disk(struct disk *to, const struct disk *from)
{
    *to = *from;
    for (size_t index = 0; index < to->files_count; index++) {
        struct image *image = &to->files[index];
        image->bytes = malloc(image->capacity + 1);
        ensure(image->bytes != NULL);
        if (image->size > 0)
            memcpy(image->bytes, from->files[index].bytes, image->size);
    }
}

static void free_disk(struct disk *disk)
{
    for (size_t index = 0; index < disk->files_count; index++)
        free(disk->files[index].bytes);
    *disk = (struct disk){0};
}

static void clear_directory(void)
{
    DIR *listing = opendir(directory);
    ensure(listing != NULL);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
}

static void lay_out(const struct disk *disk)
{
    clear_directory();
    for (size_t index = 0; index < disk->names_count; index++) {
        char path[192];
        snprintf(path, sizeof(path), "%s/%s", directory, disk->names[index].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ensure(fd >= 0);
        for (size_t file = 0; file < disk->files_count; file++) {
            const struct image *image = &disk->files[file];
            if (image->inode == disk->names[index].inode && image->size > 0)
                ensure(write(fd, image->bytes, image->size) == (ssize_t)image->size);
        }
        close(fd);
    }
}

/* What is in the directory is the disk from which the next record starts; the record knows its inodes. */
static void read_disk(struct disk *disk, struct trace *trace)
{
    DIR *listing = opendir(directory);
    ensure(listing != NULL);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char name[32];
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        memset(name, 0, sizeof(name));
        snprintf(name, sizeof(name), "%.31s", entry->d_name);
        int fd = openat(dirfd(listing), entry->d_name, O_RDONLY | O_CLOEXEC);
        ensure(fd >= 0 && fstat(fd, &status) == 0);
        uint8_t *bytes = malloc((size_t)status.st_size + 1);
        ensure(bytes != NULL && read(fd, bytes, (size_t)status.st_size) == status.st_size);
        patch_image(find_image(disk, status.st_ino), 0, bytes, (uint64_t)status.st_size);
        set_name(disk, name, status.st_ino);
        trace->known[trace->known_count++] = status.st_ino;
        free(bytes);
        close(fd);
    }
    closedir(listing);
}

/* --- crash points
 * -------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = random_state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static bool is_name_op(enum op_kind kind)
{
    return kind == OP_CREATE || kind == OP_RENAME || kind == OP_UNLINK;
}

/* Whether a later op of the record, before the crash, makes op `index` durable. */
static bool is_synced(const struct trace *trace, size_t index, size_t stop)
{
    const struct op *op = &trace->ops[index];
    for (size_t later = index + 1; later < stop; later++) {
        if (is_name_op(op->kind) && trace->ops[later].kind == OP_SYNC_NAMES)
            return true;
        if (!is_name_op(op->kind) && trace->ops[later].kind == OP_SYNC &&
            trace->ops[later].inode == op->inode)
            return true;
    }
    return false;
}

static void apply_whole(struct disk *disk, const struct op *op)
{
    struct image *image = find_image(disk, op->inode);
    if (op->kind == OP_WRITE)
        patch_image(image, op->offset, op->bytes, op->size);
    else if (op->size < image->size)
        image->size = op->size;
}

/* Of an unsynced write each sector is there, is not, or is torn; `keep` of 256 are there. */
static void apply_torn(struct disk *disk, const struct op *op, unsigned keep)
{
    struct image *image = find_image(disk, op->inode);
    for (uint64_t at = 0; at < op->size;) {
        uint64_t sector = SECTOR - (op->offset + at) % SECTOR;
        uint64_t size = sector < op->size - at ? sector : op->size - at;
        uint64_t dice = next_random();
        if ((dice & 255) < keep)
            patch_image(image, op->offset + at, op->bytes + at, size);
        else if ((dice >> 8 & 15) == 0)
            patch_image(image, op->offset + at, op->bytes + at, (dice >> 12) % (size + 1));
        at += size;
    }
}

/* The disk after a crash in front of op `stop`. */
static void crash_disk(const struct disk *start, const struct trace *trace, size_t stop, struct disk *ret)
{
    static const unsigned keeps[] = {0, 256, 128, 230, 26};
    unsigned keep = keeps[next_random() % 5];
    size_t open_names = 0, unsynced = 0;
    copy_disk(ret, start);
    for (size_t index = 0; index < stop; index++)
        unsynced += is_name_op(trace->ops[index].kind) && !is_synced(trace, index, stop);
    size_t names_kept = next_random() % (unsynced + 1);
    for (size_t index = 0; index < stop; index++) {
        const struct op *op = &trace->ops[index];
        bool synced = is_synced(trace, index, stop);
        if (is_name_op(op->kind) && (synced || open_names++ < names_kept))
            change_names(ret, op);
        if (op->kind == OP_WRITE && !synced)
            apply_torn(ret, op, keep);
        else if (op->kind == OP_WRITE || (op->kind == OP_TRUNCATE && (synced || (next_random() & 1) != 0)))
            apply_whole(ret, op);
    }
}

/* --- turns
 * --------------------------------------------------------------------------------------------------- */

/* Turn n has 1 to 6 records; each carries n and its own number; every fourth turn passes a segment's end. */
static uint32_t turn_records(uint32_t turn)
{
    return 1 + turn * 7 % 6;
}

static uint32_t record_bytes(uint32_t turn, uint32_t index)
{
    uint32_t size = 8 + (turn * 2654435761u + index * 40503u) % 700;
    return turn % 4 == 3 ? size + 4000 : size;
}

static void fill_record(uint32_t turn, uint32_t index, uint8_t *bytes)
{
    for (uint32_t at = 0; at < record_bytes(turn, index); at++)
        bytes[at] = (uint8_t)(turn * 17 + index * 5 + at);
    memcpy(bytes, &turn, sizeof(turn));
    memcpy(bytes + 4, &index, sizeof(index));
}

static uint64_t append_turn(struct journal *journal, uint32_t turn)
{
    uint8_t bytes[8192];
    uint64_t position = 0;
    for (uint32_t index = 0; index < turn_records(turn); index++) {
        fill_record(turn, index, bytes);
        struct journal_bytes part = {bytes, record_bytes(turn, index)};
        position = journal_append(journal, RECORD_READING, &part, 1);
    }
    return position;
}

/* Whole turns from 0 on, in order; -1: anything else. */
static int read_turns(uint64_t durable)
{
    struct journal_reader *reader;
    struct record record;
    uint8_t bytes[8192];
    uint32_t turn = 0, index = 0;
    if (journal_reader_open(directory, test_keys(), 0, &reader) != OK)
        return -1;
    enum err error;
    while ((error = journal_reader_next(reader, durable, &record)) == OK) {
        fill_record(turn, index, bytes);
        if (record.size != record_bytes(turn, index) || memcmp(record.data, bytes, record.size) != 0)
            break;
        if (++index == turn_records(turn)) {
            turn++;
            index = 0;
        }
    }
    journal_reader_close(reader);
    return error == ERR_EMPTY && index == 0 ? (int)turn : -1;
}

static enum err open_here(struct journal **ret_journal)
{
    struct journal_options options = {
        .directory = directory, .node = 1, .shard = 0, .segment_bytes = SEGMENT, .keys = test_keys()};
    return journal_open(&options, ret_journal);
}

static void write_turn(struct journal *journal, uint32_t turn)
{
    mark(OP_BEGIN, append_turn(journal, turn));
    ensure(journal_commit(journal) == OK);
    mark(OP_ACK, 0);
}

/* --- judging a disk
 * ------------------------------------------------------------------------------------------ */

struct expectation {
    uint32_t acked, begun;
    uint64_t highest; /* position given out so far */
};

static unsigned long states, failures, states_wanted = 100000;

static void count_line(void *context, const char *line)
{
    ++*(int *)context;
}

static const char *judge(const struct expectation *expected, uint32_t *ret_turns)
{
    struct journal *journal = NULL;
    struct journal_figures figures;
    const char *fault = NULL;
    int findings = 0;
    if (open_here(&journal) != OK)
        return "does not open";
    int turns = read_turns(journal_durable(journal));
    if (turns < (int)expected->acked)
        fault = turns < 0 ? "gives wrong records" : "lost an acknowledged turn";
    else if (turns > (int)expected->begun)
        fault = "gives a turn that was never begun";
    else if (journal_durable(journal) <= expected->highest)
        fault = "uses positions again";
    if (fault == NULL) {
        append_turn(journal, (uint32_t)turns);
        if (journal_commit(journal) != OK || read_turns(journal_durable(journal)) != turns + 1)
            fault = "cannot go on";
        else if (journal_verify(directory, test_keys(), count_line, &findings, &figures) != OK ||
                 findings != 0)
            fault = "does not verify";
    }
    journal_close(journal);
    *ret_turns = turns < 0 ? 0 : (uint32_t)turns;
    return fault;
}

static struct expectation expect_at(const struct trace *trace, size_t stop, const struct expectation *before)
{
    struct expectation expected = *before;
    for (size_t index = 0; index < stop; index++) {
        const struct op *op = &trace->ops[index];
        expected.begun += op->kind == OP_BEGIN;
        expected.acked += op->kind == OP_ACK;
        if (op->kind == OP_SERVED)
            expected.acked = expected.begun = (uint32_t)op->offset;
        if (op->kind == OP_BEGIN && op->offset > expected.highest)
            expected.highest = op->offset;
    }
    return expected;
}

static void explore(const struct disk *start, const struct trace *trace, const struct expectation *before,
                    int depth, size_t from);

/* Opens the journal on this disk and writes a turn, recorded, and crashes that. */
static void crash_recovery(const struct disk *disk, const struct expectation *expected, uint32_t turns,
                           int depth)
{
    struct trace trace = {0};
    struct disk start = {0};
    struct journal *journal = NULL;
    lay_out(disk);
    read_disk(&start, &trace);
    recording = &trace;
    bool opened = open_here(&journal) == OK;
    if (opened)
        write_turn(journal, turns);
    journal_close(journal);
    recording = NULL;
    /* From here on a turn found by the first recovery is as good as acknowledged: it was served. */
    struct expectation next = {.acked = turns, .begun = turns, .highest = expected->highest};
    if (opened)
        explore(&start, &trace, &next, depth, 0);
    free_disk(&start);
    free_trace(&trace);
}

/* The ops before `stop` again, and those of `later`, whose inodes are those of the same names on the laid out
 * disk. */
static void join_traces(const struct trace *trace, size_t stop, const struct disk *cached,
                        const struct disk *laid_out, const struct trace *later, struct trace *ret)
{
    *ret = (struct trace){.count = stop + later->count};
    ret->ops = calloc(ret->count + 1, sizeof(*ret->ops));
    ensure(ret->ops != NULL);
    if (stop > 0)
        memcpy(ret->ops, trace->ops, stop * sizeof(*ret->ops));
    memcpy(ret->ops + stop, later->ops, later->count * sizeof(*ret->ops));
    for (size_t index = stop; index < ret->count; index++) {
        struct op *op = &ret->ops[index];
        for (size_t name = 0; name < laid_out->names_count; name++) {
            if (laid_out->names[name].inode != op->inode)
                continue;
            for (size_t old = 0; old < cached->names_count; old++)
                if (strcmp(cached->names[old].name, laid_out->names[name].name) == 0)
                    op->inode = cached->names[old].inode;
            break;
        }
    }
}

/* kill -9 in front of op `stop`, a restart that sees the page cache and serves from it, then a power cut. */
static void kill_then_crash(const struct disk *start, const struct trace *trace, size_t stop,
                            const struct expectation *expected)
{
    struct disk cached, laid_out = {0};
    struct trace later = {0}, joined;
    struct journal *journal = NULL;
    copy_disk(&cached, start);
    for (size_t index = 0; index < stop; index++) {
        change_names(&cached, &trace->ops[index]);
        if (trace->ops[index].kind == OP_WRITE || trace->ops[index].kind == OP_TRUNCATE)
            apply_whole(&cached, &trace->ops[index]);
    }
    lay_out(&cached);
    read_disk(&laid_out, &later);
    recording = &later;
    ensure(open_here(&journal) == OK);
    int turns = read_turns(journal_durable(journal));
    mark(OP_SERVED, (uint64_t)turns);
    journal_close(journal);
    recording = NULL;
    ensure(turns >= (int)expected->acked);
    join_traces(trace, stop, &cached, &laid_out, &later, &joined);
    struct expectation nothing = {0};
    explore(start, &joined, &nothing, 1, stop);
    free(joined.ops);
    free_trace(&later);
    free_disk(&laid_out);
    free_disk(&cached);
}

static void try_disk(const struct disk *disk, const struct expectation *expected, size_t stop, int depth)
{
    uint32_t turns = 0;
    lay_out(disk);
    states++;
    const char *fault = judge(expected, &turns);
    if (fault != NULL) {
        failures++;
        if (failures <= 5)
            fprintf(stderr, "state %lu: %s (op %zu, depth %d, acknowledged %u)\n", states, fault, stop, depth,
                    expected->acked);
        return;
    }
    if (depth < DEPTH_MAX && next_random() % NEST_EVERY == 0)
        crash_recovery(disk, expected, turns, depth + 1);
}

/* At the top every op from `from` on is a crash point; in a recovery some are. */
static void explore(const struct disk *start, const struct trace *trace, const struct expectation *before,
                    int depth, size_t from)
{
    for (size_t stop = from; stop <= trace->count && states < states_wanted; stop++) {
        if (depth > 0 && next_random() % (trace->count - from + 1) >= NEST_POINTS)
            continue;
        struct expectation expected = expect_at(trace, stop, before);
        for (int variant = 0; variant < VARIANTS && states < states_wanted; variant++) {
            struct disk disk;
            crash_disk(start, trace, stop, &disk);
            try_disk(&disk, &expected, stop, depth);
            free_disk(&disk);
        }
        if (depth == 0)
            kill_then_crash(start, trace, stop, &expected);
    }
}

static void run_workload(void)
{
    struct trace trace = {0};
    struct disk start = {0};
    struct journal *journal = NULL;
    struct expectation nothing = {0};
    clear_directory();
    recording = &trace;
    ensure(open_here(&journal) == OK);
    for (uint32_t turn = 0; turn < TURNS; turn++)
        write_turn(journal, turn);
    journal_close(journal);
    recording = NULL;
    explore(&start, &trace, &nothing, 0, 0);
    free_trace(&trace);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    snprintf(directory, sizeof(directory), "%s/vigie-crash-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    for (int index = 1; index < argc; index++) {
        const char *value = index + 1 < argc ? argv[index + 1] : "";
        if (strcmp(argv[index], "--lie") == 0)
            syncs_lie = true;
        else if (strcmp(argv[index], "--states") == 0)
            states_wanted = strtoul(value, NULL, 10);
        else if (strcmp(argv[index], "--seed") == 0)
            seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[index], "--directory") == 0)
            snprintf(directory, sizeof(directory), "%s", value);
        index += strcmp(argv[index], "--lie") != 0;
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "cannot make %s\n", directory);
        return 73;
    }
    log_configure(syncs_lie ? (enum log_level) - 1 : LOG_ERROR, LOG_FORMAT_TEXT);
    random_state = seed;
    while (states < states_wanted)
        run_workload();
    clear_directory();
    rmdir(directory);
    printf("seed %llu: %lu states, %lu failures\n", (unsigned long long)seed, states, failures);
    return failures == 0 ? 0 : 1;
}
