/* identifier: see the header. */
#include "daemon/registry/identifier.h"

#include <string.h>

enum identifier_fault identifier_read(struct identifier_key key, struct slice system, struct slice value,
                                      struct identifier *ret)
{
    struct identifier read = {.system = system};
    enum ins_kind kind = ins_kind_of(system);
    if (value.size == 0 || system.size > IDENTIFIER_BYTES_MAX ||
        value.size > IDENTIFIER_BYTES_MAX - system.size)
        return IDENTIFIER_BAD_LENGTH;
    if (kind >= INS_TEST && !key.test_mode)
        return IDENTIFIER_IS_TEST;
    if (kind != INS_NONE) {
        enum ins_fault fault = ins_parse(value, read.ins);
        if (fault != INS_GOOD)
            return fault == INS_BAD_KEY ? IDENTIFIER_BAD_KEY : IDENTIFIER_BAD_SHAPE;
        read.is_ins = true;
        read.system = ins_system(kind);
        value = (struct slice){read.ins, INS_BYTES};
    }
    registry_identifier_hash(key.bytes, read.system.size > 0 ? read.system.data : "", read.system.size,
                             value.data, value.size, read.hash);
    *ret = read;
    return IDENTIFIER_GOOD;
}
