/* rejected_seal: a key a row is used once, so its only nonce is 0. */
#include "storage/rejected_seal.h"

#include <openssl/rand.h>
#include <string.h>

#include "daemon/base/ensure.h"

static const char label[] = "vigie rejected";

struct seal_head {
    uint32_t key_id;
    uint8_t salt[CIPHER_SALT_BYTES], tag[CIPHER_TAG_BYTES];
};
_Static_assert(sizeof(struct seal_head) == 52, "the head is fixed: it lies in PostgreSQL as it is");

static struct cipher_message message_of(const struct rejected_place *place, void *data, size_t size)
{
    return (struct cipher_message){
        .counter = 0, .aad = place, .aad_size = sizeof(*place), .data = data, .size = size};
}

enum err rejected_seal(const struct cipher_keys *keys, const struct rejected_place *place,
                       const void *original, size_t size, struct buffer *sealed)
{
    struct seal_head head = {.key_id = cipher_keys_sealing(keys)};
    struct cipher *cipher;
    ensure(RAND_bytes(head.salt, sizeof(head.salt)) == 1);
    enum err error = cipher_open(keys, head.key_id, head.salt, label, &cipher);
    if (error != OK)
        return error;
    char *out = buffer_reserve(sealed, sizeof(head) + size);
    if (size > 0)
        memcpy(out + sizeof(head), original, size);
    struct cipher_message message = message_of(place, out + sizeof(head), size);
    cipher_seal(cipher, &message, head.tag);
    memcpy(out, &head, sizeof(head));
    sealed->size += sizeof(head) + size;
    cipher_close(cipher);
    return OK;
}

enum err rejected_unseal(const struct cipher_keys *keys, const struct rejected_place *place,
                         const void *sealed, size_t size, struct buffer *original)
{
    struct seal_head head;
    struct cipher *cipher;
    if (size < sizeof(head))
        return ERR_CORRUPT;
    memcpy(&head, sealed, sizeof(head));
    enum err error = cipher_open(keys, head.key_id, head.salt, label, &cipher);
    if (error != OK)
        return error;
    size -= sizeof(head);
    char *out = buffer_reserve(original, size);
    if (size > 0)
        memcpy(out, (const char *)sealed + sizeof(head), size);
    struct cipher_message message = message_of(place, out, size);
    error = cipher_unseal(cipher, &message, head.tag);
    if (error == OK)
        original->size += size;
    cipher_close(cipher);
    return error;
}
