/* sealed_file: round trips, and every way of changing a file by hand is refused. */
#include "daemon/base/sealed_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/base/log.h"
#include "tests/harness/test_keys.h"
#include "tests/unit/unit.h"

enum { HEADER = 64, CHUNK_HEADER = 24, WHOLE_CHUNK = CHUNK_HEADER + SEALED_CHUNK_MAX };

static char path[64];

static void make_path(void)
{
    snprintf(path, sizeof(path), "/tmp/vigie-sealed-%d", (int)getpid());
    log_configure((enum log_level) - 1, LOG_FORMAT_TEXT);
}

static void remove_path(void)
{
    unlink(path);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)(at * 31 + at / 253);
    return bytes;
}

static void round_trip(size_t size)
{
    struct cipher_keys keys = test_keys_of(1, 2);
    struct buffer back = {0};
    uint8_t *bytes = pattern(size);
    buffer_text(&back, "before");
    CU_ASSERT_EQUAL(sealed_file_replace(path, &keys, "test", bytes, size, 0600), OK);
    CU_ASSERT_EQUAL(sealed_file_read(path, &keys, "test", size, &back), OK);
    CU_ASSERT_EQUAL_FATAL(back.size, 6 + size);
    CU_ASSERT_EQUAL(memcmp(back.data, "before", 6), 0);
    CU_ASSERT_EQUAL(memcmp(back.data + 6, bytes, size), 0);
    if (size > 0) {
        CU_ASSERT_EQUAL(sealed_file_read(path, &keys, "test", size - 1, &back), ERR_LIMIT);
        CU_ASSERT_EQUAL(back.size, 6 + size);
    }
    free(bytes);
    buffer_deinit(&back);
}

static void test_round_trip(void)
{
    static const size_t sizes[] = {
        0, 1, 1000, SEALED_CHUNK_MAX - 1, SEALED_CHUNK_MAX, SEALED_CHUNK_MAX + 1, 3 * SEALED_CHUNK_MAX};
    struct stat status;
    make_path();
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++)
        round_trip(sizes[index]);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    remove_path();
}

static void test_streams(void)
{
    struct cipher_keys keys = test_keys_of(1, 2);
    struct sealed_writer *writer = NULL;
    struct sealed_reader *reader = NULL;
    char fresh[80], some[1000];
    size_t got, total = 0, size = 2 * SEALED_CHUNK_MAX + 777;
    uint8_t *bytes = pattern(size);
    make_path();
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    CU_ASSERT_EQUAL_FATAL(sealed_writer_open(path, &keys, "test", 0600, &writer), OK);
    CU_ASSERT_EQUAL(sealed_writer_write(writer, bytes, 100), OK);
    sealed_writer_abandon(writer);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_NOT_EQUAL(access(fresh, F_OK), 0);
    CU_ASSERT_EQUAL_FATAL(sealed_writer_open(path, &keys, "test", 0600, &writer), OK);
    for (size_t at = 0; at < size; at += 977)
        CU_ASSERT_EQUAL(sealed_writer_write(writer, bytes + at, size - at < 977 ? size - at : 977), OK);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_EQUAL(sealed_writer_finish(&writer), OK);
    CU_ASSERT_PTR_NULL(writer);
    CU_ASSERT_EQUAL_FATAL(sealed_reader_open(path, &keys, "test", &reader), OK);
    do {
        CU_ASSERT_EQUAL_FATAL(sealed_reader_read(reader, some, sizeof(some), &got), OK);
        CU_ASSERT_EQUAL(memcmp(some, bytes + total, got), 0);
        total += got;
    } while (got == sizeof(some));
    CU_ASSERT_EQUAL(total, size);
    CU_ASSERT_EQUAL(sealed_reader_read(reader, some, sizeof(some), &got), OK);
    CU_ASSERT_EQUAL(got, 0);
    sealed_reader_close(reader);
    free(bytes);
    remove_path();
}

static enum err read_back(const struct cipher_keys *keys, const char *label)
{
    struct buffer buffer = {0};
    enum err error = sealed_file_read(path, keys, label, SIZE_MAX, &buffer);
    CU_ASSERT_TRUE(error == OK || buffer.size == 0);
    buffer_deinit(&buffer);
    return error;
}

static void write_raw(const void *data, size_t size)
{
    CU_ASSERT_EQUAL_FATAL(file_replace(path, data, size, 0600), OK);
}

static void test_every_byte(void)
{
    struct cipher_keys keys = test_keys_of(1, 2);
    struct buffer file = {0};
    make_path();
    CU_ASSERT_EQUAL(sealed_file_replace(path, &keys, "test", "reading of P-17", 15, 0600), OK);
    CU_ASSERT_EQUAL_FATAL(file_read(path, 4096, &file), OK);
    CU_ASSERT_EQUAL(file.size, HEADER + CHUNK_HEADER + 15);
    CU_ASSERT_PTR_NULL(memmem(file.data, file.size, "P-17", 4));
    for (size_t at = 0; at < file.size; at++) {
        file.data[at] = (char)(file.data[at] ^ 0x20);
        write_raw(file.data, file.size);
        CU_ASSERT_NOT_EQUAL(read_back(&keys, "test"), OK);
        file.data[at] = (char)(file.data[at] ^ 0x20);
    }
    for (size_t size = 0; size < file.size; size++) {
        write_raw(file.data, size);
        CU_ASSERT_NOT_EQUAL(read_back(&keys, "test"), OK);
    }
    write_raw(file.data, file.size);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), OK);
    buffer_append(&file, "", 1);
    write_raw(file.data, file.size);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    buffer_deinit(&file);
    remove_path();
}

static void test_chunks(void)
{
    struct cipher_keys keys = test_keys_of(1, 2);
    struct buffer file = {0}, other = {0};
    uint8_t *bytes = pattern(3 * SEALED_CHUNK_MAX), *kept = malloc(WHOLE_CHUNK);
    make_path();
    memcpy(bytes + SEALED_CHUNK_MAX, bytes, SEALED_CHUNK_MAX);
    CU_ASSERT_EQUAL(sealed_file_replace(path, &keys, "test", bytes, 3 * SEALED_CHUNK_MAX, 0600), OK);
    CU_ASSERT_EQUAL_FATAL(file_read(path, SIZE_MAX, &file), OK);
    CU_ASSERT_EQUAL_FATAL(file.size, HEADER + 3 * WHOLE_CHUNK);
    CU_ASSERT_EQUAL(sealed_file_replace(path, &keys, "test", bytes, 3 * SEALED_CHUNK_MAX, 0600), OK);
    CU_ASSERT_EQUAL_FATAL(file_read(path, SIZE_MAX, &other), OK);
    /* the same data sealed again has nothing in common with the first */
    CU_ASSERT_NOT_EQUAL(memcmp(file.data + HEADER + CHUNK_HEADER, other.data + HEADER + CHUNK_HEADER, 16), 0);
    for (int chunks = 0; chunks < 3; chunks++) { /* cut at a chunk's edge */
        write_raw(file.data, HEADER + (size_t)chunks * WHOLE_CHUNK);
        CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    }
    char *first = file.data + HEADER, *second = first + WHOLE_CHUNK;
    first[4] = 1; /* cut, and the first chunk made out to be the last */
    write_raw(file.data, HEADER + WHOLE_CHUNK);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    first[4] = 0;
    memcpy(kept, first, WHOLE_CHUNK); /* exchanged */
    memcpy(first, second, WHOLE_CHUNK);
    memcpy(second, kept, WHOLE_CHUNK);
    write_raw(file.data, file.size);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    memcpy(first, kept, WHOLE_CHUNK); /* repeated */
    write_raw(file.data, file.size);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    memcpy(second, other.data + HEADER + WHOLE_CHUNK, WHOLE_CHUNK); /* from another file */
    write_raw(file.data, file.size);
    CU_ASSERT_EQUAL(read_back(&keys, "test"), ERR_CORRUPT);
    free(kept);
    free(bytes);
    buffer_deinit(&other);
    buffer_deinit(&file);
    remove_path();
}

static void test_rotation(void)
{
    struct cipher_keys old = test_keys_of(1, 2), rotated = test_keys_of(3, 1), without = test_keys_of(3, 4);
    make_path();
    CU_ASSERT_EQUAL(read_back(&old, "test"), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(sealed_file_replace(path, &old, "test", "rule", 4, 0600), OK);
    CU_ASSERT_EQUAL(read_back(&rotated, "test"), OK); /* an older key of the ring opens */
    CU_ASSERT_EQUAL(read_back(&without, "test"), ERR_KEY_MISSING);
    CU_ASSERT_EQUAL(read_back(&old, "tesu"), ERR_CORRUPT);
    CU_ASSERT_EQUAL(read_back(&old, "test2"), ERR_CORRUPT);
    CU_ASSERT_EQUAL(sealed_file_replace(path, &rotated, "test", "rule", 4, 0600), OK);
    CU_ASSERT_EQUAL(read_back(&without, "test"), OK); /* and the first one seals */
    write_raw("{\"plain\": \"a file of another program, long enough for a header .......\"}", 72);
    CU_ASSERT_EQUAL(read_back(&old, "test"), ERR_FORMAT);
    remove_path();
}

SUITE(sealed_file) = {
    {"round trips of all sizes", test_round_trip},
    {"streams", test_streams},
    {"every byte flipped, every length", test_every_byte},
    {"chunks cut, exchanged, repeated, brought from elsewhere", test_chunks},
    {"rotated and missing keys, labels", test_rotation},
    {NULL, NULL},
};
