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
#include "storage/journal_format.h"
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

/* One master key of fixed bytes: the tests look at files by hand. */
static const struct cipher_keys *test_keys(void)
{
    static struct cipher_keys keys;
    static const uint8_t master[CIPHER_KEY_BYTES] = {1, 2, 3};
    if (keys.count == 0)
        ensure(cipher_keys_add(&keys, master) == OK);
    return &keys;
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

/* FAULTS.md B5: the last turn ends at every byte, followed by nothing, zeros or garbage. */
static void test_torn_tail(void)
{
    char path[PATH_BYTES];
    uint64_t ends[3];
    size_t size, bad = 0;
    uint8_t *image = make_image(3, ends, path, &size), *torn = malloc(size);
    for (uint64_t cut = ends[1]; cut < ends[2]; cut++) {
        bool padding = true; /* a cut in zero bytes at the very end changes nothing once zeros follow */
        for (uint64_t at = cut; at < ends[2]; at++)
            padding = padding && image[at] == 0;
        memcpy(torn, image, size);
        restore_image(path, torn, cut);
        bad += !starts_with(2);
        memset(torn + cut, 0, size - cut);
        restore_image(path, torn, size);
        bad += !starts_with(padding ? 3 : 2);
        for (uint64_t at = cut; at < size; at++)
            torn[at] = (uint8_t)(at * 131 + cut + 1) | 1;
        restore_image(path, torn, size);
        bad += !starts_with(2);
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
    {"reader beside the writer", test_live_reader},
    {NULL, NULL},
};
