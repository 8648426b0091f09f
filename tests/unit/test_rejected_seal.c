/* rejected_seal: what is sealed opens with its key, old or new, in its place, and nowhere else. */
#include "storage/rejected_seal.h"

#include <string.h>

#include "tests/harness/test_keys.h"
#include "tests/unit/unit.h"

static const char payload[] = "{\"patient\":\"P-1\",\"value\":71.4}";
static const struct rejected_place place = {1796083200123, 7};

static struct buffer seal(const struct cipher_keys *keys, const char *text, size_t size)
{
    struct buffer sealed = {0};
    CU_ASSERT_EQUAL_FATAL(rejected_seal(keys, &place, text, size, &sealed), OK);
    return sealed;
}

static enum err opens(const struct cipher_keys *keys, const struct rejected_place *where,
                      const struct buffer *sealed, const char *expected)
{
    struct buffer original = {0};
    buffer_text(&original, "before ");
    size_t before = original.size;
    enum err error = rejected_unseal(keys, where, sealed->data, sealed->size, &original);
    CU_ASSERT_EQUAL(original.size, before + (error == OK ? strlen(expected) : 0));
    CU_ASSERT_TRUE(error != OK || memcmp(original.data + before, expected, strlen(expected)) == 0);
    buffer_deinit(&original);
    return error;
}

static void test_round_trip(void)
{
    struct cipher_keys first = test_keys_of(1, 2), second = test_keys_of(2, 1), other = test_keys_of(3, 4);
    struct buffer sealed = seal(&first, payload, strlen(payload)), again = seal(&first, payload, 5);
    struct buffer nothing = seal(&first, NULL, 0);
    CU_ASSERT_PTR_NULL(memmem(sealed.data, sealed.size, "71.4", 4));
    CU_ASSERT_NOT_EQUAL(memcmp(sealed.data + 52, again.data + 52, 5), 0); /* a key each */
    CU_ASSERT_EQUAL(opens(&first, &place, &sealed, payload), OK);
    CU_ASSERT_EQUAL(opens(&second, &place, &sealed, payload), OK); /* an old key by now */
    CU_ASSERT_EQUAL(opens(&first, &place, &nothing, ""), OK);
    CU_ASSERT_EQUAL(opens(&other, &place, &sealed, payload), ERR_KEY_MISSING);
    buffer_deinit(&sealed);
    buffer_deinit(&again);
    buffer_deinit(&nothing);
}

static void test_changed(void)
{
    struct cipher_keys keys = test_keys_of(1, 2);
    struct buffer sealed = seal(&keys, payload, strlen(payload));
    struct rejected_place later = place, another = place;
    later.received_at_ms++;
    another.source_id++;
    CU_ASSERT_EQUAL(opens(&keys, &later, &sealed, payload), ERR_CORRUPT);
    CU_ASSERT_EQUAL(opens(&keys, &another, &sealed, payload), ERR_CORRUPT);
    for (size_t at = 4; at < sealed.size; at++) {
        sealed.data[at] ^= 1;
        CU_ASSERT_EQUAL(opens(&keys, &place, &sealed, payload), ERR_CORRUPT);
        sealed.data[at] ^= 1;
    }
    for (; sealed.size > 0; sealed.size--) {
        struct buffer cut = sealed;
        cut.size--;
        CU_ASSERT_EQUAL(opens(&keys, &place, &cut, payload), ERR_CORRUPT);
    }
    buffer_deinit(&sealed);
}

const struct unit_test suite_rejected_seal[] = {
    {"round trip", test_round_trip}, {"changed, cut, moved", test_changed}, {NULL, NULL}};
