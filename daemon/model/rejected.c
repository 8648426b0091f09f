/* rejected: the bytes of a record, one after the other, without a hole. */
#include "daemon/model/rejected.h"

#include <string.h>

#include "daemon/base/ensure.h"

static char printable(char byte)
{
    return byte >= ' ' && byte <= '~' ? byte : '?';
}

void rejected_write(const struct rejected_view *view, uint8_t *out)
{
    const struct rejected *head = &view->head;
    ensure(head->code_size <= view->code.size && head->text_size <= view->text.size);
    ensure(head->original_size <= view->original.size);
    memcpy(out, head, sizeof(*head));
    out += sizeof(*head);
    memcpy(out, view->code.data, head->code_size);
    out += head->code_size;
    for (size_t i = 0; i < head->text_size; i++)
        *out++ = (uint8_t)printable(view->text.data[i]);
    if (head->original_size > 0)
        memcpy(out, view->original.data, head->original_size);
}

void rejected_read(const uint8_t *data, size_t size, struct rejected_view *ret)
{
    ensure(size >= sizeof(ret->head));
    memcpy(&ret->head, data, sizeof(ret->head));
    ensure(size >= rejected_size(&ret->head));
    const char *at = (const char *)data + sizeof(ret->head);
    ret->code = (struct slice){at, ret->head.code_size};
    ret->text = (struct slice){at + ret->head.code_size, ret->head.text_size};
    ret->original = (struct slice){ret->text.data + ret->head.text_size, ret->head.original_size};
}
