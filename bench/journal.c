/* bench journal: what encryption costs, beside what cannot be left out. Everything is measured in one run,
 * the variants in turns, so that a noisy machine disturbs all of them alike. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "daemon/base/buffer.h"
#include "daemon/base/clock.h"
#include "daemon/base/ensure.h"
#include "daemon/base/file.h"
#include "daemon/model/reading.h"
#include "storage/journal.h"
#include "storage/journal_seal.h"

static const char help[] =
    "vigie-bench journal: cost of the cipher a reading beside memcpy; write and sync of a turn with and "
    "without it\n"
    "\n"
    "  --directory DIR   where to write, on the file system to measure; default .; what is made is removed\n"
    "  --turns N         turns of each variant and size; default 400\n"
    "  --json FILE       write the result as JSON; - is standard output\n";

enum { READING_BYTES = 112 + 64 + 8, FILE_BYTES = 64 << 20, SIZES = 4 };
static const unsigned turn_readings[SIZES] = {1, 50, 500, 1000};
_Static_assert(READING_BYTES == sizeof(struct reading) + 64 + RECORD_HEADER_BYTES,
               "head, a usual tail, header");

struct row {
    double memcpy_ns, seal_ns, open_ns; /* a reading */
    double plain_us, sealed_us;         /* a turn: append, write, sync; medians */
};

struct work {
    const char *directory, *json;
    unsigned turns;
    struct cipher_keys keys;
    struct row rows[SIZES];
};

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

/* --- the cipher alone -------------------------------------------------------------------------------------
 */

struct block {
    struct block_header header;
    uint8_t payload[BLOCK_PAYLOAD_MAX];
};

static double copy_once(const struct block *from, struct block *into, size_t size)
{
    int64_t begun = clock_monotonic_ns();
    memcpy(into->payload, from->payload, size);
    __asm__ volatile("" : : "r"(into->payload) : "memory");
    return (double)(clock_monotonic_ns() - begun);
}

/* Seals and opens one block; its number grows: no nonce twice, here neither. */
static void seal_once(const struct block_place *place, struct block *block, double *ret_seal,
                      double *ret_open)
{
    block->header.number++;
    int64_t begun = clock_monotonic_ns();
    journal__seal_block(place, &block->header);
    int64_t sealed = clock_monotonic_ns();
    ensure(journal__open_payload(place, &block->header, block->payload));
    *ret_seal = (double)(sealed - begun);
    *ret_open = (double)(clock_monotonic_ns() - sealed);
}

static void measure_cipher(const struct work *work, unsigned readings, struct row *row)
{
    enum { SAMPLES = 2000 };
    static double copies[SAMPLES], seals[SAMPLES], opens[SAMPLES];
    static struct block from, block;
    struct fresh_key fresh;
    ensure(journal__key_make(&work->keys, &fresh) == OK);
    struct segment_header segment = {.node = 1, .number = 1, .key_id = fresh.key_id};
    const uint8_t tag[CIPHER_TAG_BYTES] = {0};
    struct block_place place = {&segment, &fresh.key, SEGMENT_HEADER_BYTES, tag};
    block.header = (struct block_header){.length = readings * READING_BYTES, .records = readings};
    memset(from.payload, 0x5a, sizeof(from.payload));
    for (size_t sample = 0; sample < SAMPLES; sample++) {
        copies[sample] = copy_once(&from, &block, block.header.length);
        seal_once(&place, &block, &seals[sample], &opens[sample]);
    }
    journal__key_close(&fresh.key);
    row->memcpy_ns = median(copies, SAMPLES) / readings;
    row->seal_ns = median(seals, SAMPLES) / readings;
    row->open_ns = median(opens, SAMPLES) / readings;
}

/* --- whole turns ------------------------------------------------------------------------------------------
 */

/* The same bytes in the same shape without cipher or check: append, write into zeros, fdatasync. */
static double plain_turn(int fd, struct buffer *turn, unsigned readings, uint64_t *offset)
{
    static const uint8_t reading[READING_BYTES] = {1};
    int64_t begun = clock_monotonic_ns();
    turn->size = sizeof(struct block_header);
    for (unsigned index = 0; index < readings; index++)
        buffer_append(turn, reading, sizeof(reading));
    if (*offset + turn->size > FILE_BYTES)
        *offset = 0;
    ensure(pwrite(fd, turn->data, turn->size, (off_t)*offset) == (ssize_t)turn->size);
    ensure(fdatasync(fd) == 0);
    *offset += turn->size;
    return (double)(clock_monotonic_ns() - begun) / 1e3;
}

static double sealed_turn(struct journal *journal, unsigned readings)
{
    static const uint8_t reading[READING_BYTES - RECORD_HEADER_BYTES] = {1};
    const struct journal_bytes part = {reading, sizeof(reading)};
    int64_t begun = clock_monotonic_ns();
    for (unsigned index = 0; index < readings; index++)
        journal_append(journal, RECORD_READING, &part, 1);
    ensure(journal_commit(journal) == OK);
    return (double)(clock_monotonic_ns() - begun) / 1e3;
}

static int make_plain(const char *path)
{
    static const char zeros[1 << 20];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ensure(fd >= 0);
    for (unsigned index = 0; index < FILE_BYTES >> 20; index++)
        ensure(file_write_all(fd, zeros, sizeof(zeros)) == OK);
    ensure(fsync(fd) == 0);
    return fd;
}

static void measure_turns(struct work *work, struct journal *journal, int fd)
{
    double *plain = calloc(work->turns, sizeof(*plain)), *sealed = calloc(work->turns, sizeof(*sealed));
    struct buffer turn = {0};
    uint64_t offset = 0;
    ensure(plain != NULL && sealed != NULL);
    buffer_reserve(&turn, 1 << 20);
    for (size_t size = 0; size < SIZES; size++) {
        for (unsigned index = 0; index < work->turns; index++) {
            plain[index] = plain_turn(fd, &turn, turn_readings[size], &offset);
            sealed[index] = sealed_turn(journal, turn_readings[size]);
        }
        work->rows[size].plain_us = median(plain, work->turns);
        work->rows[size].sealed_us = median(sealed, work->turns);
    }
    buffer_deinit(&turn);
    free(sealed);
    free(plain);
}

static void remove_journal(const char *directory, uint64_t durable)
{
    char path[4200];
    for (uint64_t number = 1; number <= durable >> 32; number++) {
        snprintf(path, sizeof(path), "%s/%08llx.wal", directory, (unsigned long long)number);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/spare.wal", directory);
    unlink(path);
    rmdir(directory);
}

static int measure(struct work *work)
{
    char directory[4096], path[4096];
    struct journal *journal;
    snprintf(directory, sizeof(directory), "%s/bench-journal-%d", work->directory, (int)getpid());
    snprintf(path, sizeof(path), "%s/bench-plain-%d", work->directory, (int)getpid());
    struct journal_options options = {
        .directory = directory, .node = 1, .segment_bytes = FILE_BYTES, .keys = &work->keys};
    enum err error = journal_open(&options, &journal);
    if (error != OK) {
        fprintf(stderr,
                "vigie-bench: cannot make a journal, found %s: %s, expected a writable directory, hint: "
                "--directory DIR\n",
                directory, err_text(error));
        return err_sysexit(error);
    }
    for (size_t size = 0; size < SIZES; size++)
        measure_cipher(work, turn_readings[size], &work->rows[size]);
    int fd = make_plain(path);
    measure_turns(work, journal, fd);
    uint64_t durable = journal_durable(journal);
    journal_close(journal);
    close(fd);
    unlink(path);
    remove_journal(directory, durable);
    return 0;
}

/* --- command ----------------------------------------------------------------------------------------------
 */

static void print_rows(const struct work *work)
{
    printf("readings a turn   memcpy ns   seal ns   open ns (a reading)   turn us plain   sealed   ratio\n");
    for (size_t size = 0; size < SIZES; size++) {
        const struct row *row = &work->rows[size];
        printf("%15u %11.1f %9.1f %9.1f %29.1f %8.1f %7.2f\n", turn_readings[size], row->memcpy_ns,
               row->seal_ns, row->open_ns, row->plain_us, row->sealed_us, row->sealed_us / row->plain_us);
    }
}

static int write_json(const struct work *work)
{
    FILE *file = strcmp(work->json, "-") == 0 ? stdout : fopen(work->json, "we");
    if (file == NULL) {
        fprintf(stderr, "vigie-bench: cannot write --json FILE, found %s, expected a writable path\n",
                work->json);
        return 73;
    }
    fprintf(file, "{\"reading_bytes\":%d,\"turns\":%u,\"rows\":[", READING_BYTES, work->turns);
    for (size_t size = 0; size < SIZES; size++) {
        const struct row *row = &work->rows[size];
        fprintf(
            file,
            "%s{\"readings\":%u,\"memcpy_ns\":%.1f,\"seal_ns\":%.1f,\"open_ns\":%.1f,\"plain_turn_us\":%.1f,"
            "\"sealed_turn_us\":%.1f,\"ratio\":%.3f}",
            size == 0 ? "" : ",", turn_readings[size], row->memcpy_ns, row->seal_ns, row->open_ns,
            row->plain_us, row->sealed_us, row->sealed_us / row->plain_us);
    }
    fprintf(file, "]}\n");
    if (file != stdout)
        fclose(file);
    return 0;
}

int bench_journal(int argc, char **argv)
{
    static const struct option table[] = {{"directory", required_argument, NULL, 'd'},
                                          {"turns", required_argument, NULL, 't'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct work work = {.directory = ".", .turns = 400};
    for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (id == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (id == 'd')
            work.directory = optarg;
        else if (id == 'j')
            work.json = optarg;
        else if (id == 't')
            work.turns = (unsigned)strtoul(optarg, NULL, 10);
        if (id == '?' || work.turns == 0 || work.turns > 1000000) {
            fprintf(stderr, "vigie-bench: wrong option, hint: vigie-bench journal --help\n");
            return 64;
        }
    }
    const uint8_t master[CIPHER_KEY_BYTES] = {1};
    ensure(cipher_keys_add(&work.keys, master) == OK);
    int status = measure(&work);
    if (status == 0 && (work.json == NULL || strcmp(work.json, "-") != 0))
        print_rows(&work);
    return status == 0 && work.json != NULL ? write_json(&work) : status;
}
