/* identity: the same node for ever, a new epoch each start, one process a state_dir. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/file.h"
#include "daemon/identity.h"
#include "tests/unit/unit.h"

static char directory[64];

static void make_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/vigie-identity-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
}

static void remove_directory(void)
{
    static const char *const names[] = {"lock", "identity"};
    char path[128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void is_the_same_node_with_a_new_epoch(void)
{
    make_directory();
    struct identity first, second;
    CU_ASSERT_EQUAL_FATAL(identity_open(directory, 0, 3, &first), OK);
    CU_ASSERT_EQUAL(first.shards, 3);
    identity_close(&first);
    CU_ASSERT_EQUAL_FATAL(identity_open(directory, 0, 7, &second), OK);
    CU_ASSERT_EQUAL(second.node, first.node);
    CU_ASSERT_EQUAL(second.epoch, first.epoch + 1);
    CU_ASSERT_EQUAL(second.shards, 3);
    identity_close(&second);
    remove_directory();
}

static void another_number_of_shards_is_refused(void)
{
    make_directory();
    struct identity identity;
    CU_ASSERT_EQUAL_FATAL(identity_open(directory, 2, 1, &identity), OK);
    identity_close(&identity);
    CU_ASSERT_EQUAL(identity_open(directory, 4, 1, &identity), ERR_CONFIG);
    remove_directory();
}

static void a_second_process_is_refused(void)
{
    make_directory();
    struct identity first, second;
    CU_ASSERT_EQUAL_FATAL(identity_open(directory, 0, 1, &first), OK);
    CU_ASSERT_EQUAL(identity_open(directory, 0, 1, &second), ERR_BUSY);
    identity_close(&first);
    remove_directory();
}

static void a_broken_file_is_never_replaced_by_a_new_identity(void)
{
    make_directory();
    char path[128];
    snprintf(path, sizeof path, "%s/identity", directory);
    CU_ASSERT_EQUAL_FATAL(file_replace(path, "format=1\nnode=zz", 16, 0600), OK);
    struct identity identity;
    CU_ASSERT_EQUAL(identity_open(directory, 0, 1, &identity), ERR_CORRUPT);
    remove_directory();
}

SUITE(identity) = {
    {"is the same node with a new epoch", is_the_same_node_with_a_new_epoch},
    {"another number of shards is refused", another_number_of_shards_is_refused},
    {"a second process is refused", a_second_process_is_refused},
    {"a broken file is never replaced", a_broken_file_is_never_replaced_by_a_new_identity},
    {NULL, NULL},
};
