/* hl7_fixture: line ends in, line ends out. */
#include "tests/unit/hl7_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned good;

static void swap(char *text, char from, char to)
{
    for (; (text = strchr(text, from)) != NULL; text++)
        *text = to;
}

const char *hl7_send(const char *source, const char *message)
{
    char *copy = strdup(message);
    ensure(copy != NULL);
    swap(copy, '\n', '\r');
    struct exchange *exchange = fixture_send_as(source, FIXTURE_HL7, NULL, copy, strlen(copy));
    free(copy);
    good = 0;
    for (uint32_t i = 0; i < exchange->ticket->count; i++)
        good += exchange->ticket->heads[i].verdict < VERDICT_MALFORMED;
    char *ack = buffer_reserve(&exchange->out, 1);
    *ack = '\0';
    swap(exchange->out.data, '\r', '\n');
    return exchange->out.data;
}

unsigned hl7_good(void)
{
    return good;
}

bool hl7_says(const char *ack, const char *first, const char *second)
{
    const char *found = strstr(ack, first);
    bool says = found != NULL && (second == NULL || strstr(found, second) != NULL);
    if (!says)
        printf("expected: %s ... %s\nfound:\n%s\n", first, second != NULL ? second : "", ack);
    return says;
}
