/* journal: round trips, torn tails at every byte, a flip of every byte, readers, owners. Losses of unsynced
 * writes are enumerated by tests/crash/crash_states.c. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "storage/journal.h"
#include "storage/journal_seal.h"
#include "tests/harness/test_keys.h"
#include "tests/unit/unit.h"

enum { NODE = 7, PATH_BYTES = 256 };

static char directory[96]; /* file names are built in PATH_BYTES */

static void remove_files(const char *path)
{
    DIR *listing = opendir(path);
    if (listing == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
    rmdir(path);
}

static void begin(void)
{
    snprintf(directory, sizeof(directory), "%s/vigie-journal-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    remove_files(directory);
}

static enum err try_open(uint64_t segment_bytes, uint64_t node, struct journal **ret_journal)
{
    struct journal_options options = {.directory = directory,
                                      .shard = 3,
                                      .node = node,
                                      .segment_bytes = segment_bytes,
                                      .keys = test_keys()};
    return journal_open(&options, ret_journal);
}

static struct journal *open_journal(uint64_t segment_bytes)
{
    struct journal *journal = NULL;
    CU_ASSERT_EQUAL_FATAL(try_open(segment_bytes, NODE, &journal), OK);
    return journal;
}

/* Record `serial` has a size and bytes that follow from its number; every tenth is an event. */
static uint32_t serial_size(uint32_t serial)
{
    return 8 + serial * 37 % 500;
}

static enum record_type serial_type(uint32_t serial)
{
    return serial % 10 == 9 ? RECORD_EVENT : RECORD_READING;
}

static void serial_fill(uint32_t serial, uint8_t *bytes)
{
    for (uint32_t index = 0; index < serial_size(serial); index++)
        bytes[index] = (uint8_t)(serial * 31 + index);
    memcpy(bytes, &serial, sizeof(serial));
}

static uint64_t append_serial(struct journal *journal, uint32_t serial)
{
    uint8_t bytes[512];
    serial_fill(serial, bytes);
    uint32_t head = serial_size(serial) / 3;
    struct journal_bytes parts[] = {{bytes, head}, {bytes + head, serial_size(serial) - head}};
    return journal_append(journal, serial_type(serial), parts, 2);
}

static bool is_serial(const struct record *record, uint32_t serial)
{
    uint8_t bytes[512];
    serial_fill(serial, bytes);
    return record->type == serial_type(serial) && record->size == serial_size(serial) &&
           memcmp(record->data, bytes, record->size) == 0;
}

/* Writes records [from, to) in turns of `turn` records. */
static void write_serials(struct journal *journal, uint32_t from, uint32_t to, uint32_t turn)
{
    for (uint32_t serial = from; serial < to; serial++) {
        append_serial(journal, serial);
        if ((serial + 1 - from) % turn == 0 || serial + 1 == to)
            CU_ASSERT_EQUAL_FATAL(journal_commit(journal), OK);
    }
}

/* Reads records from `position`; gives how many came in order from `serial` on before EMPTY; -1: anything
 * else. */
static int read_serials(uint64_t position, uint64_t durable, uint32_t serial)
{
    struct journal_reader *reader = NULL;
    struct record record;
    int count = 0;
    if (journal_reader_open(directory, test_keys(), position, &reader) != OK)
        return -1;
    enum err error;
    while ((error = journal_reader_next(reader, durable, &record)) == OK) {
        if (!is_serial(&record, serial++)) {
            journal_reader_close(reader);
            return -1;
        }
        count++;
    }
    journal_reader_close(reader);
    return error == ERR_EMPTY ? count : -1;
}

static void test_round_trip(void)
{
    begin();
    struct journal *journal = open_journal(16384);
    uint64_t empty = journal_durable(journal);
    CU_ASSERT(journal_turn_is_empty(journal));
    CU_ASSERT_EQUAL(journal_commit(journal), OK);
    CU_ASSERT_EQUAL(journal_durable(journal), empty);
    write_serials(journal, 0, 1000, 7);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 1000);
    struct journal_figures figures;
    journal_figures(journal, &figures);
    CU_ASSERT_EQUAL(figures.records, 1000);
    CU_ASSERT_EQUAL(figures.events, 100);
    CU_ASSERT_EQUAL(figures.turns, 143);
    CU_ASSERT(figures.segments > 10);
    CU_ASSERT(journal_accepting(journal));
    journal_close(journal);

    journal = open_journal(16384);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 1000);
    write_serials(journal, 1000, 1100, 100);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 1100);
    journal_close(journal);
    begin();
}

/* A turn is not seen before its commit, and one bigger than several segments is seen whole. */
static void test_big_turn(void)
{
    begin();
    struct journal *journal = open_journal(16384);
    write_serials(journal, 0, 10, 10);
    uint64_t before = journal_durable(journal);
    for (uint32_t serial = 10; serial < 2010; serial++)
        append_serial(journal, serial);
    CU_ASSERT(journal_turn_bytes(journal) > 16384 * 10);
    CU_ASSERT_EQUAL(journal_durable(journal), before);
    CU_ASSERT_EQUAL(read_serials(0, before, 0), 10);
    CU_ASSERT_EQUAL(journal_commit(journal), OK);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 2010);

    size_t size = 700000; /* a record longer than segment and block */
    uint8_t *big = malloc(size);
    memset(big, 0x5a, size);
    uint64_t position =
        journal_append(journal, RECORD_REJECTED, &(struct journal_bytes){big, (uint32_t)size}, 1);
    append_serial(journal, 0);
    CU_ASSERT_EQUAL(journal_commit(journal), OK);
    struct journal_reader *reader;
    struct record record;
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), position, &reader), OK);
    CU_ASSERT_EQUAL_FATAL(journal_reader_next(reader, journal_durable(journal), &record), OK);
    CU_ASSERT_EQUAL(record.position, position);
    CU_ASSERT(record.size == size && memcmp(record.data, big, size) == 0);
    CU_ASSERT_EQUAL(journal_reader_next(reader, journal_durable(journal), &record), OK);
    CU_ASSERT(is_serial(&record, 0));
    journal_reader_close(reader);
    journal_close(journal);
    free(big);
    journal = open_journal(16384);
    CU_ASSERT_EQUAL(read_serials(position_make(1, 0), journal_durable(journal), 0),
                    -1); /* 2010 is the big one */
    journal_close(journal);
    begin();
}

static void test_positions(void)
{
    enum { COUNT = 600 };
    begin();
    struct journal *journal = open_journal(16384);
    uint64_t positions[COUNT];
    for (uint32_t serial = 0; serial < COUNT; serial++) {
        positions[serial] = append_serial(journal, serial);
        CU_ASSERT(serial == 0 || positions[serial] > positions[serial - 1]);
        if (serial % 13 == 12)
            CU_ASSERT_EQUAL(journal_commit(journal), OK);
    }
    CU_ASSERT_EQUAL(journal_commit(journal), OK);
    uint64_t durable = journal_durable(journal);
    for (uint32_t serial = 0; serial < COUNT; serial++)
        CU_ASSERT_EQUAL(read_serials(positions[serial], durable, serial), (int)(COUNT - serial));
    /* Where a reader stopped, the next one goes on. */
    struct journal_reader *reader;
    struct record record;
    uint64_t events, position = 0;
    for (uint32_t serial = 0; serial < COUNT; serial++) {
        CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), position, &reader), OK);
        CU_ASSERT_EQUAL(journal_reader_next(reader, durable, &record), OK);
        CU_ASSERT_EQUAL(record.position, positions[serial]);
        position = journal_reader_position(reader);
        CU_ASSERT_EQUAL(journal_reader_count(reader, &events), serial + 1);
        CU_ASSERT_EQUAL(events, (serial + 1) / 10);
        journal_reader_close(reader);
    }
    CU_ASSERT_EQUAL(read_serials(position, durable, 0), 0);
    journal_close(journal);
    /* After a restart the same cursor has seen all, and knows how much that is. */
    journal = open_journal(16384);
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), position, &reader), OK);
    CU_ASSERT_EQUAL(journal_reader_next(reader, journal_durable(journal), &record), ERR_EMPTY);
    CU_ASSERT_EQUAL(journal_reader_count(reader, &events), COUNT);
    CU_ASSERT_EQUAL(events, COUNT / 10);
    journal_reader_close(reader);
    journal_close(journal);
    begin();
}

static void test_events_only(void)
{
    begin();
    struct journal *journal = open_journal(16384);
    write_serials(journal, 0, 1000, 3);
    struct journal_reader *reader;
    struct record record;
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), 0, &reader), OK);
    for (uint32_t serial = 9; serial < 1000; serial += 10) {
        CU_ASSERT_EQUAL(journal_reader_next_event(reader, journal_durable(journal), &record), OK);
        CU_ASSERT(is_serial(&record, serial));
    }
    CU_ASSERT_EQUAL(journal_reader_next_event(reader, journal_durable(journal), &record), ERR_EMPTY);
    write_serials(journal, 1000, 1010, 10);
    CU_ASSERT_EQUAL(journal_reader_next_event(reader, journal_durable(journal), &record), OK);
    CU_ASSERT(is_serial(&record, 1009));
    journal_reader_close(reader);
    journal_close(journal);
    begin();
}

/* --- damage ------------------------------------------------------------------------------------------------
 */

static uint8_t *load_file(const char *path, size_t *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &status) == 0);
    uint8_t *bytes = malloc((size_t)status.st_size);
    CU_ASSERT_FATAL(read(fd, bytes, (size_t)status.st_size) == status.st_size);
    close(fd);
    *ret_size = (size_t)status.st_size;
    return bytes;
}

static void store_file(const char *path, const uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

/* A directory with one segment of `turns` turns of three records; gives its bytes and where each turn ends.
 */
static uint8_t *make_image(uint32_t turns, uint64_t *ends, char path[PATH_BYTES], size_t *ret_size)
{
    begin();
    struct journal *journal = open_journal(16384);
    for (uint32_t turn = 0; turn < turns; turn++) {
        write_serials(journal, turn * 3, turn * 3 + 3, 3);
        ends[turn] = position_offset(journal_durable(journal));
    }
    journal_close(journal);
    snprintf(path, PATH_BYTES, "%s/00000001.wal", directory);
    return load_file(path, ret_size);
}

static void restore_image(const char *path, const uint8_t *bytes, size_t size)
{
    remove_files(directory);
    CU_ASSERT_FATAL(mkdir(directory, 0700) == 0);
    store_file(path, bytes, size);
}

/* After a start exactly `turns` turns are there, and a new one follows. */
static bool starts_with(uint32_t turns)
{
    struct journal *journal;
    if (try_open(16384, NODE, &journal) != OK)
        return false;
    bool good = read_serials(0, journal_durable(journal), 0) == (int)turns * 3;
    write_serials(journal, turns * 3, turns * 3 + 3, 3);
    good = good && read_serials(0, journal_durable(journal), 0) == (int)turns * 3 + 3;
    journal_close(journal);
    return good;
}

/* What is torn may be as it was: zeros behind a cut in padding, or a last byte that garbage hits by chance.
 */
static uint32_t turns_of(const uint8_t *torn, const uint8_t *image, const uint64_t ends[3])
{
    return memcmp(torn + ends[1], image + ends[1], ends[2] - ends[1]) == 0 ? 3 : 2;
}

/* FAULTS.md B5: the last turn ends at every byte, followed by nothing, zeros or garbage. */
static void test_torn_tail(void)
{
    char path[PATH_BYTES];
    uint64_t ends[3];
    size_t size, bad = 0;
    uint8_t *image = make_image(3, ends, path, &size), *torn = malloc(size);
    for (uint64_t cut = ends[1]; cut < ends[2]; cut++) {
        memcpy(torn, image, size);
        restore_image(path, torn, cut);
        bad += !starts_with(2);
        memset(torn + cut, 0, size - cut);
        restore_image(path, torn, size);
        bad += !starts_with(turns_of(torn, image, ends));
        for (uint64_t at = cut; at < size; at++)
            torn[at] = (uint8_t)(at * 131 + cut + 1) | 1;
        restore_image(path, torn, size);
        bad += !starts_with(turns_of(torn, image, ends));
    }
    CU_ASSERT_EQUAL(bad, 0);
    free(torn);
    free(image);
    begin();
}

enum outcome { REFUSED, GAVE_NONE, GAVE_ONE, GAVE_BOTH, GAVE_WRONG };

/* A start on a damaged journal of two turns, and all that a reader gets from it. */
static enum outcome start_damaged(void)
{
    struct journal *journal;
    if (try_open(16384, NODE, &journal) != OK)
        return REFUSED;
    int count = read_serials(0, journal_durable(journal), 0);
    journal_close(journal);
    return count % 3 == 0 && count <= 6 ? GAVE_NONE + (enum outcome)(count / 3) : GAVE_WRONG;
}

static void count_line(void *context, const char *line)
{
    ++*(int *)context;
}

/* A reader beside the start: right records up to where it finds the damage, or none. */
static bool reads_wrong(void)
{
    struct journal_reader *reader = NULL;
    struct record record;
    uint32_t serial = 0;
    bool wrong = false;
    if (journal_reader_open(directory, test_keys(), 0, &reader) != OK)
        return false;
    while (!wrong && journal_reader_next(reader, position_make(1, 16000), &record) == OK)
        wrong = !is_serial(&record, serial++);
    journal_reader_close(reader);
    return wrong;
}

/* Findings of verify, -1: it holds them for damage. */
static int verify_findings(void)
{
    int lines = 0;
    struct journal_figures figures;
    enum err error = journal_verify(directory, test_keys(), count_line, &lines, &figures);
    return error == OK ? lines : -1;
}

/* FAULTS.md B6: one flipped bit before the end of the last turn is refused when something behind it witnesses
 * it: the next turn, or the mark of an orderly end. In the last turn of a killed process it cuts that turn,
 * as a torn tail would, and verify tells of it. In the zeros behind, nothing reads it: harmless, and told.
 * Nothing is given as if it were whole. */
static void flip_each(bool killed)
{
    char path[PATH_BYTES];
    uint64_t ends[2];
    size_t size, bad = 0;
    uint8_t *image = make_image(2, ends, path, &size);
    if (killed)
        memset(image + ends[1], 0, BLOCK_HEADER_BYTES);
    uint64_t witnessed = killed ? ends[0] : ends[1];
    for (uint64_t at = 0; at < size; at += at < ends[1] + 2 * BLOCK_HEADER_BYTES ? 1 : 509) {
        image[at] ^= (uint8_t)(1 << at % 8);
        restore_image(path, image, size);
        int findings = verify_findings();
        bad += at < witnessed ? findings != -1 : findings <= 0;
        bad += reads_wrong();
        bad += start_damaged() != (at < witnessed ? REFUSED : at < ends[1] ? GAVE_ONE : GAVE_BOTH);
        image[at] ^= (uint8_t)(1 << at % 8);
    }
    CU_ASSERT_EQUAL(bad, 0);
    free(image);
    begin();
}

static void test_bit_flips(void)
{
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    flip_each(false);
    flip_each(true);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
}

static void test_verify(void)
{
    char path[PATH_BYTES];
    int lines = 0;
    struct journal_figures figures;
    begin();
    struct journal *journal = open_journal(16384);
    write_serials(journal, 0, 300, 5);
    CU_ASSERT_EQUAL(journal_verify(directory, test_keys(), count_line, &lines, &figures), OK);
    CU_ASSERT_EQUAL(lines, 0);
    CU_ASSERT_EQUAL(figures.records, 300);
    CU_ASSERT_EQUAL(figures.turns, 60);
    CU_ASSERT_EQUAL(figures.durable, journal_durable(journal));
    journal_close(journal);
    snprintf(path, sizeof(path), "%s/00000002.wal", directory);
    size_t size;
    uint8_t *image = load_file(path, &size);
    image[5000] ^= 4;
    store_file(path, image, size);
    CU_ASSERT_EQUAL(journal_verify(directory, test_keys(), count_line, &lines, &figures), ERR_CORRUPT);
    CU_ASSERT(lines > 0);
    free(image);
    begin();
}

/* Segments missing, swapped, copied, of somebody else (FAULTS.md B6). */
static void test_strangers(void)
{
    char second[PATH_BYTES], third[PATH_BYTES], away[PATH_BYTES];
    struct journal *journal = NULL;
    begin();
    journal = open_journal(16384);
    write_serials(journal, 0, 300, 5);
    CU_ASSERT(position_segment(journal_durable(journal)) > 4);
    journal_close(journal);
    snprintf(second, sizeof(second), "%s/00000002.wal", directory);
    snprintf(third, sizeof(third), "%s/00000003.wal", directory);
    snprintf(away, sizeof(away), "%s/away", directory);
    CU_ASSERT_EQUAL(rename(second, away), 0);
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), ERR_CORRUPT);
    CU_ASSERT_EQUAL(rename(third, second), 0);
    CU_ASSERT_EQUAL(rename(away, third), 0);
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), ERR_CORRUPT);
    CU_ASSERT_EQUAL(rename(third, away), 0);
    CU_ASSERT_EQUAL(rename(second, third), 0);
    CU_ASSERT_EQUAL(rename(away, second), 0);
    size_t size;
    uint8_t *image = load_file(third, &size);
    snprintf(away, sizeof(away), "%s/000000ff.wal", directory);
    store_file(away, image, size);
    free(image);
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), ERR_CORRUPT);
    unlink(away);
    CU_ASSERT_EQUAL(try_open(16384, NODE + 1, &journal), ERR_REFUSED);
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), OK);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 300);
    journal_close(journal);
    begin();
}

/* Starts that write nothing leave no files behind and use no number twice. */
static void test_many_starts(void)
{
    begin();
    struct journal *journal = open_journal(16384);
    write_serials(journal, 0, 5, 5);
    uint64_t last = append_serial(journal, 5); /* its turn is never committed */
    journal_close(journal);
    for (int start = 0; start < 20; start++) {
        journal = open_journal(16384);
        CU_ASSERT(journal_durable(journal) > last);
        last = append_serial(journal, 5);
        CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 5);
        journal_close(journal);
    }
    DIR *listing = opendir(directory);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        files += entry->d_name[0] != '.';
    closedir(listing);
    CU_ASSERT(files <= 3); /* the first, the newest, the spare */
    begin();
}

static void test_low_water(void)
{
    struct journal *journal = NULL;
    struct journal_options options = {.directory = directory,
                                      .node = NODE,
                                      .segment_bytes = 16384,
                                      .low_water_bytes = UINT64_C(1) << 60,
                                      .keys = test_keys()};
    begin();
    CU_ASSERT_EQUAL_FATAL(journal_open(&options, &journal), OK);
    CU_ASSERT(!journal_accepting(journal));
    write_serials(journal, 0, 3, 3); /* what is open can still be committed */
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 3);
    journal_close(journal);
    begin();
}

/* --- keys, trim, positions --------------------------------------------------------------------------------
 */

static enum err open_with(const struct cipher_keys *keys, struct journal **ret_journal)
{
    struct journal_options options = {
        .directory = directory, .shard = 3, .node = NODE, .segment_bytes = 16384, .keys = keys};
    return journal_open(&options, ret_journal);
}

/* A new master key at a restart: old segments stay readable while the old one is in the ring. */
static void test_rotation(void)
{
    struct cipher_keys old = test_keys_of(1, 1), rotated = test_keys_of(2, 1), without = test_keys_of(2, 2);
    struct journal *journal;
    struct journal_reader *reader;
    struct record record;
    int lines = 0;
    struct journal_figures figures;
    begin();
    CU_ASSERT_EQUAL_FATAL(open_with(&old, &journal), OK);
    write_serials(journal, 0, 200, 5);
    journal_close(journal);
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    CU_ASSERT_EQUAL(open_with(&without, &journal), ERR_KEY_MISSING);
    CU_ASSERT_EQUAL(journal_verify(directory, &without, count_line, &lines, &figures), ERR_KEY_MISSING);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    CU_ASSERT_EQUAL_FATAL(open_with(&rotated, &journal), OK);
    write_serials(journal, 200, 400, 5);
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, &rotated, 0, &reader), OK);
    for (uint32_t serial = 0; serial < 400; serial++)
        CU_ASSERT(journal_reader_next(reader, journal_durable(journal), &record) == OK &&
                  is_serial(&record, serial));
    journal_reader_close(reader);
    journal_close(journal);
    lines = 0;
    CU_ASSERT_EQUAL(journal_verify(directory, &rotated, count_line, &lines, &figures), OK);
    CU_ASSERT_EQUAL(figures.records, 400);
    CU_ASSERT_EQUAL(lines, 0);
    begin();
}

/* Salt and number of every block that lies in the directory, void or not; every pair once (FAULTS.md I8). */
struct nonce {
    uint8_t salt[CIPHER_SALT_BYTES], tag[CIPHER_TAG_BYTES];
    uint32_t block;
};
enum { NONCES_MAX = 8192 };
struct nonces {
    struct nonce seen[NONCES_MAX];
    size_t count;
    unsigned repeated;
};

static void see_nonce(struct nonces *nonces, const struct nonce *nonce)
{
    for (size_t index = 0; index < nonces->count; index++) {
        const struct nonce *old = &nonces->seen[index];
        if (memcmp(old->salt, nonce->salt, sizeof(nonce->salt)) != 0 || old->block != nonce->block)
            continue;
        /* The same block, seen again after the next start, is no second use. */
        nonces->repeated += memcmp(old->tag, nonce->tag, sizeof(nonce->tag)) != 0;
        return;
    }
    CU_ASSERT_FATAL(nonces->count < NONCES_MAX);
    nonces->seen[nonces->count++] = *nonce;
}

static void see_segment(struct nonces *nonces, const uint8_t *bytes, size_t size)
{
    struct segment_header header;
    struct block_header block;
    memcpy(&header, bytes, sizeof(header));
    struct nonce nonce = {.block = 0};
    memcpy(nonce.salt, header.salt, sizeof(nonce.salt));
    memcpy(nonce.tag, header.tag, sizeof(nonce.tag));
    see_nonce(nonces, &nonce);
    for (size_t at = sizeof(header); at + sizeof(block) <= size; at += sizeof(block) + block.length) {
        memcpy(&block, bytes + at, sizeof(block));
        if (block.magic != BLOCK_MAGIC)
            break;
        nonce.block = block.number;
        memcpy(nonce.tag, block.tag, sizeof(nonce.tag));
        see_nonce(nonces, &nonce);
    }
}

static void see_directory(struct nonces *nonces)
{
    DIR *listing = opendir(directory);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char path[PATH_BYTES + 300];
        size_t size;
        if (strlen(entry->d_name) != 12)
            continue;
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        uint8_t *bytes = load_file(path, &size);
        see_segment(nonces, bytes, size);
        free(bytes);
    }
    closedir(listing);
}

/* Each cycle: turns, a process that dies with one open, files cut as by a crash, a start. */
static void test_nonces(void)
{
    static struct nonces nonces;
    char path[PATH_BYTES];
    begin();
    for (uint32_t cycle = 0; cycle < 40; cycle++) {
        struct journal *journal = open_journal(16384);
        uint64_t begun = journal_durable(journal);
        write_serials(journal, 0, 30 + cycle, 4);
        see_directory(&nonces);
        uint64_t end = journal_durable(journal);
        journal_close(journal);
        see_directory(&nonces);
        snprintf(path, sizeof(path), "%s/%08x.wal", directory, position_segment(end));
        if (cycle % 2 == 1 && position_segment(end) == position_segment(begun))
            CU_ASSERT_EQUAL(truncate(path, (off_t)position_offset(end) - 100), 0);
    }
    CU_ASSERT_EQUAL(nonces.repeated, 0);
    CU_ASSERT(nonces.count > 400);
    begin();
}

static int files_here(void)
{
    DIR *listing = opendir(directory);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        files += strlen(entry->d_name) == 12;
    closedir(listing);
    return files;
}

static void write_timed(struct journal *journal, uint32_t from, uint32_t to)
{
    for (uint32_t serial = from; serial < to; serial++) {
        struct record_tick tick = {.engine_ms = 1000 * (int64_t)serial};
        journal_append(journal, RECORD_TICK, &(struct journal_bytes){&tick, sizeof(tick)}, 1);
        append_serial(journal, serial);
        CU_ASSERT_EQUAL_FATAL(journal_commit(journal), OK);
    }
}

/* First serial that a reader from `position` gives; -1: none. */
static int first_serial(uint64_t position, uint64_t durable)
{
    struct journal_reader *reader;
    struct record record;
    int found = -1;
    if (journal_reader_open(directory, test_keys(), position, &reader) != OK)
        return -1;
    while (found < 0 && journal_reader_next(reader, durable, &record) == OK) {
        uint32_t serial;
        memcpy(&serial, record.data, sizeof(serial));
        found = record.type == RECORD_TICK ? -1 : (int)serial;
    }
    journal_reader_close(reader);
    return found;
}

static void test_trim(void)
{
    struct journal_reader *early, *reader;
    struct record record;
    struct journal_figures before, after;
    uint64_t position;
    int lines = 0;
    begin();
    struct journal *journal = open_journal(16384);
    write_timed(journal, 0, 500);
    journal_figures(journal, &before);
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), 0, &early), OK);
    CU_ASSERT_EQUAL(journal_reader_next(early, journal_durable(journal), &record), OK);
    CU_ASSERT_EQUAL(journal_position_before(journal, -5, &position), OK);
    CU_ASSERT_EQUAL(position, 0);
    CU_ASSERT_EQUAL(journal_trim(journal, position), OK); /* nothing is that old */
    CU_ASSERT_EQUAL(files_here(), (int)before.segments);
    CU_ASSERT_EQUAL(journal_position_before(journal, 200000, &position), OK);
    CU_ASSERT_EQUAL(journal_trim(journal, position), OK);
    journal_figures(journal, &after);
    CU_ASSERT(after.segments < before.segments && after.segments > 2);
    CU_ASSERT_EQUAL(files_here(), (int)after.segments);
    CU_ASSERT_EQUAL(before.bytes - after.bytes, (before.segments - after.segments) * 16384);
    CU_ASSERT(after.oldest > before.oldest);
    int first = first_serial(0, journal_durable(journal));
    CU_ASSERT(first > 100 && first <= 200); /* whole segments of turns at or before 200 s */
    /* What was trimmed is told from damage, at the beginning and in the middle. */
    CU_ASSERT_EQUAL(journal_reader_open(directory, test_keys(), before.oldest + 8, &reader), ERR_NOT_FOUND);
    enum err error;
    while ((error = journal_reader_next(early, journal_durable(journal), &record)) == OK)
        continue; /* its file is open: it may be read to the end */
    CU_ASSERT_EQUAL(error, ERR_NOT_FOUND);
    journal_reader_close(early);
    CU_ASSERT_EQUAL(journal_reader_open(directory, test_keys(), position, &reader),
                    OK); /* all of it follows */
    journal_reader_close(reader);
    CU_ASSERT_EQUAL(journal_verify(directory, test_keys(), count_line, &lines, &after), OK);
    CU_ASSERT_EQUAL(lines, 0);
    journal_close(journal);
    journal = open_journal(16384);
    CU_ASSERT_EQUAL(first_serial(0, journal_durable(journal)), first);
    CU_ASSERT_EQUAL(journal_trim(journal, UINT64_MAX), OK); /* the newest two stay */
    CU_ASSERT_EQUAL(files_here(), 2);
    journal_close(journal);
    journal = open_journal(16384); /* an empty newest is void, its predecessor holds the end */
    write_timed(journal, 500, 510);
    journal_figures(journal, &after);
    CU_ASSERT_EQUAL(after.records, 1020);
    journal_close(journal);
    begin();
}

/* A crash in a trim, each way: the mark alone, some files gone; then a lost file, a lost or foreign mark. */
static void test_trim_crash(void)
{
    char first[PATH_BYTES], away[PATH_BYTES], mark[PATH_BYTES], third[PATH_BYTES];
    begin();
    struct journal *journal = open_journal(16384);
    write_timed(journal, 0, 300);
    uint32_t last = position_segment(journal_durable(journal));
    CU_ASSERT_FATAL(last > 5);
    snprintf(first, sizeof(first), "%s/00000002.wal", directory); /* right below the mark */
    snprintf(third, sizeof(third), "%s/00000003.wal", directory);
    snprintf(mark, sizeof(mark), "%s/trimmed", directory);
    snprintf(away, sizeof(away), "%s-away", directory);
    size_t size, mark_size;
    uint8_t *bytes = load_file(first, &size);
    CU_ASSERT_EQUAL(journal_trim(journal, position_make(3, SEGMENT_HEADER_BYTES)), OK);
    journal_close(journal);
    uint8_t *mark_bytes = load_file(mark, &mark_size);
    store_file(first, bytes, size); /* as if its unlink had not reached the disk */
    journal = open_journal(16384);
    CU_ASSERT_NOT_EQUAL(access(first, F_OK), 0); /* void, removed */
    CU_ASSERT(first_serial(0, journal_durable(journal)) > 0);
    journal_close(journal);
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    CU_ASSERT_EQUAL(rename(third, away), 0); /* lost, not trimmed */
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), ERR_CORRUPT);
    CU_ASSERT_EQUAL(rename(away, third), 0);
    for (size_t at = 0; at < mark_size; at += 7) { /* a damaged mark is damage */
        mark_bytes[at] ^= 1;
        store_file(mark, mark_bytes, mark_size);
        CU_ASSERT_NOT_EQUAL(try_open(16384, NODE, &journal), OK);
        mark_bytes[at] ^= 1;
    }
    unlink(mark); /* without it the segments before it are missing */
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), ERR_CORRUPT);
    store_file(mark, mark_bytes, mark_size);
    CU_ASSERT_EQUAL(try_open(16384, NODE, &journal), OK);
    journal_close(journal);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    free(mark_bytes);
    free(bytes);
    begin();
}

/* A reader that has all of what was trimmed, and no more, goes on behind it. */
static void test_trim_behind_reader(void)
{
    struct journal_reader *reader;
    struct record record;
    begin();
    struct journal *journal = open_journal(16384);
    CU_ASSERT_EQUAL_FATAL(journal_reader_open(directory, test_keys(), 0, &reader), OK);
    uint32_t serial = 0;
    while (position_segment(journal_durable(journal)) == 1) { /* turns of one record are never split */
        while (journal_reader_next(reader, journal_durable(journal), &record) == OK)
            continue;
        write_serials(journal, serial, serial + 1, 1);
        serial++;
    }
    uint32_t next = serial - 1; /* the first of the second segment */
    write_serials(journal, serial, serial + 200, 1);
    CU_ASSERT_EQUAL(journal_trim(journal, position_make(2, SEGMENT_HEADER_BYTES)), OK);
    CU_ASSERT_EQUAL(journal_reader_next(reader, journal_durable(journal), &record), OK);
    CU_ASSERT(is_serial(&record, next));
    journal_reader_close(reader);
    journal_close(journal);
    begin();
}

/* The mark of another shard, under the same keys, says nothing here. */
static void test_foreign_mark(void)
{
    char mark[PATH_BYTES];
    size_t size;
    struct journal *journal;
    struct journal_options options = {
        .directory = directory, .shard = 5, .node = NODE, .segment_bytes = 16384, .keys = test_keys()};
    begin();
    snprintf(mark, sizeof(mark), "%s/trimmed", directory);
    journal = open_journal(16384);
    write_timed(journal, 0, 300);
    CU_ASSERT_EQUAL(journal_trim(journal, position_make(3, SEGMENT_HEADER_BYTES)), OK);
    journal_close(journal);
    uint8_t *bytes = load_file(mark, &size);
    begin();
    CU_ASSERT_EQUAL_FATAL(journal_open(&options, &journal), OK);
    write_timed(journal, 0, 300);
    journal_close(journal);
    store_file(mark, bytes, size);
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    CU_ASSERT_EQUAL(journal_open(&options, &journal), ERR_CORRUPT);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    free(bytes);
    begin();
}

/* PITFALLS F6: positions that a sink holds are never given out again, even when this disk forgot them. */
static void test_position_min(void)
{
    struct journal *journal;
    struct journal_options options = {.directory = directory,
                                      .shard = 3,
                                      .node = NODE,
                                      .segment_bytes = 16384,
                                      .position_min = position_make(900, 4000),
                                      .keys = test_keys()};
    begin();
    CU_ASSERT_EQUAL_FATAL(journal_open(&options, &journal), OK);
    CU_ASSERT(journal_durable(journal) > options.position_min);
    write_serials(journal, 0, 10, 5);
    CU_ASSERT_EQUAL(read_serials(0, journal_durable(journal), 0), 10);
    journal_close(journal);
    begin();
}

/* Blocks exchanged inside a segment and between segments of one journal: refused wherever they land. */
static void test_exchanged_blocks(void)
{
    char path[2][PATH_BYTES];
    uint8_t *image[2];
    size_t size[2];
    struct block_header block[2];
    begin();
    struct journal *journal = open_journal(16384);
    for (uint32_t turn = 0; position_segment(journal_durable(journal)) < 3; turn++)
        write_serials(journal, 8, 9, 1); /* turns of one shape */
    journal_close(journal);
    for (unsigned index = 0; index < 2; index++) {
        snprintf(path[index], PATH_BYTES, "%s/%08x.wal", directory, index + 1);
        image[index] = load_file(path[index], &size[index]);
        memcpy(&block[index], image[index] + SEGMENT_HEADER_BYTES, sizeof(block[index]));
    }
    CU_ASSERT_EQUAL_FATAL(block[0].length, block[1].length);
    size_t whole = sizeof(block[0]) + block[0].length;
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
    uint8_t *copy = malloc(size[0]);
    memcpy(copy, image[0], size[0]); /* the next block over the first */
    memcpy(copy + SEGMENT_HEADER_BYTES, image[0] + SEGMENT_HEADER_BYTES + whole, whole);
    store_file(path[0], copy, size[0]);
    CU_ASSERT_EQUAL(verify_findings(), -1);
    memcpy(copy, image[0], size[0]); /* the first block of the other segment */
    memcpy(copy + SEGMENT_HEADER_BYTES, image[1] + SEGMENT_HEADER_BYTES, whole);
    store_file(path[0], copy, size[0]);
    CU_ASSERT_EQUAL(verify_findings(), -1);
    CU_ASSERT_EQUAL(read_serials(0, position_make(2, SEGMENT_HEADER_BYTES), 8), -1);
    store_file(path[0], image[0], size[0]);
    CU_ASSERT_EQUAL(verify_findings(), 0);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    free(copy);
    free(image[0]);
    free(image[1]);
    begin();
}

/* --- what the seal of a block covers ----------------------------------------------------------------------
 */

enum { SEALED_BYTES = 64 };

struct sealed {
    struct block_header header;
    uint8_t payload[SEALED_BYTES];
};

static struct segment_header plan_segment(const struct fresh_key *fresh)
{
    struct segment_header segment = {.node = 1, .shard = 2, .number = 3, .key_id = fresh->key_id};
    memcpy(segment.salt, fresh->salt, sizeof(segment.salt));
    journal__seal_segment(&fresh->key, &segment);
    return segment;
}

static struct sealed seal_one(const struct block_place *place, uint32_t number)
{
    struct sealed sealed = {.header = {.length = SEALED_BYTES, .records = 1, .number = number}};
    memset(sealed.payload, 'P', sizeof(sealed.payload));
    journal__seal_block(place, &sealed.header);
    return sealed;
}

/* Whether header and payload are good at that place. */
static unsigned opens(const struct block_place *place, struct sealed sealed)
{
    unsigned good = journal__block_header_is_good(place, sizeof(sealed), &sealed.header) ? 1 : 0;
    return good + (journal__open_payload(place, &sealed.header, sealed.payload) ? 2 : 0);
}

static void test_seal(void)
{
    struct fresh_key fresh, other;
    uint8_t tag[CIPHER_TAG_BYTES] = {1}, other_tag[CIPHER_TAG_BYTES] = {2};
    CU_ASSERT_EQUAL_FATAL(journal__key_make(test_keys(), &fresh), OK);
    CU_ASSERT_EQUAL_FATAL(journal__key_make(test_keys(), &other), OK);
    struct segment_header segment = plan_segment(&fresh), moved = segment;
    struct block_place place = {&segment, &fresh.key, 512, tag}, wrong = place;
    struct sealed one = seal_one(&place, 1), two = seal_one(&place, 2);
    CU_ASSERT_EQUAL(opens(&place, one), 3);
    CU_ASSERT_NOT_EQUAL(memcmp(one.payload, two.payload, SEALED_BYTES),
                        0); /* another number, another nonce */
    wrong.offset += 8;
    CU_ASSERT_EQUAL(opens(&wrong, one), 0);
    wrong = place;
    wrong.tag_before = other_tag; /* the chain: the header alone cannot tell */
    CU_ASSERT_EQUAL(opens(&wrong, one), 1);
    wrong = place;
    wrong.key = &other.key;
    CU_ASSERT_EQUAL(opens(&wrong, one), 0);
    wrong = place;
    wrong.segment = &moved;
    moved.node++;
    CU_ASSERT_EQUAL(opens(&wrong, one), 0);
    moved = segment;
    moved.shard++;
    CU_ASSERT_EQUAL(opens(&wrong, one), 0);
    moved = segment;
    moved.number++;
    CU_ASSERT_EQUAL(opens(&wrong, one), 0);
    for (size_t at = 0; at < sizeof(one); at++) { /* both checks, but the payload is the tag's alone */
        struct sealed flipped = one;
        ((uint8_t *)&flipped)[at] ^= 0x40;
        if (at >= 4 && at < 8)
            continue; /* the length: the header's check alone, a reader looks no further */
        bool is_check = at >= offsetof(struct block_header, check) &&
                        at < offsetof(struct block_header, check) + sizeof(one.header.check);
        CU_ASSERT_EQUAL(opens(&place, flipped), at >= sizeof(one.header) ? 1 : is_check ? 2 : 0);
    }
    one.header.length += 8;
    CU_ASSERT(!journal__block_header_is_good(&place, sizeof(one) + 8, &one.header));
    /* A segment header made by nobody who holds the key: its plain check fits, its tag does not. */
    struct segment_header forged = segment;
    CU_ASSERT_EQUAL(journal__check_segment(test_keys(), &forged, 3, NULL), OK);
    forged.records = 77;
    journal__seal_segment(&other.key, &forged);
    CU_ASSERT_EQUAL(journal__check_segment(test_keys(), &forged, 3, NULL), ERR_CORRUPT);
    journal__key_close(&fresh.key);
    journal__key_close(&other.key);
}

/* --- a reader beside the writer ----------------------------------------------------------------------------
 */

struct pursuit {
    struct journal *journal;
    _Atomic uint32_t wrong, seen;
    uint32_t wanted;
};

static void *pursue(void *argument)
{
    struct pursuit *pursuit = argument;
    struct journal_reader *reader;
    struct record record;
    if (journal_reader_open(directory, test_keys(), 0, &reader) != OK)
        return NULL;
    uint32_t serial = 0;
    while (serial < pursuit->wanted) {
        enum err error = journal_reader_next(reader, journal_durable(pursuit->journal), &record);
        if (error == ERR_EMPTY) {
            clock_sleep_ms(1);
            continue;
        }
        if (error != OK || !is_serial(&record, serial)) {
            pursuit->wrong++;
            break;
        }
        serial++;
    }
    pursuit->seen = serial;
    journal_reader_close(reader);
    return NULL;
}

static void test_live_reader(void)
{
    begin();
    struct pursuit pursuit = {.journal = open_journal(65536), .wanted = 20000};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, pursue, &pursuit), 0);
    write_serials(pursuit.journal, 0, 20000, 17);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(pursuit.wrong, 0);
    CU_ASSERT_EQUAL(pursuit.seen, 20000);
    journal_close(pursuit.journal);
    begin();
}

SUITE(journal) = {
    {"round trip", test_round_trip},
    {"big turn", test_big_turn},
    {"every position", test_positions},
    {"events only", test_events_only},
    {"torn tail at every byte", test_torn_tail},
    {"a flip of every byte", test_bit_flips},
    {"verify", test_verify},
    {"missing, swapped, copied, foreign", test_strangers},
    {"many starts", test_many_starts},
    {"low water", test_low_water},
    {"a new master key", test_rotation},
    {"no nonce twice", test_nonces},
    {"trim", test_trim},
    {"a crash in a trim, lost segments", test_trim_crash},
    {"trim right behind a reader", test_trim_behind_reader},
    {"a foreign mark", test_foreign_mark},
    {"positions above what a sink holds", test_position_min},
    {"what the seal of a block covers", test_seal},
    {"exchanged blocks", test_exchanged_blocks},
    {"reader beside the writer", test_live_reader},
    {NULL, NULL},
};
