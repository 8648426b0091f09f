/* doors: one row a path; what the network side looks up, and the memory of the decoders behind. */
#include "daemon/ingest/doors.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/slab.h"
#include "daemon/ingest/fhir/fhir.h"
#include "daemon/ingest/pull/slice.h"
#include "daemon/ingest/readings/readings.h"

static const struct door doors[] = {
    {"/v1/readings", METHOD_POST, "POST", false, readings_take, readings_handle, readings_answer,
     readings_error},
    {"/fhir", METHOD_POST, "POST", false, fhir_takes, fhir_bundle_handle, fhir_bundle_answer, fhir_error},
    {"/fhir/", METHOD_POST, "POST", false, fhir_takes, fhir_bundle_handle, fhir_bundle_answer, fhir_error},
    {"/fhir/Observation", METHOD_POST, "POST", false, fhir_takes, fhir_observation_handle,
     fhir_observation_answer, fhir_error},
    {"/fhir/metadata", METHOD_GET, "GET", true, NULL, fhir_metadata_handle, NULL, fhir_error},
};

const struct door *doors_find(struct slice path)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
        if (slice_is(path, doors[i].path))
            return &doors[i];
    return NULL;
}

void doors_error(struct exchange *exchange, int status, const char *code, const char *text)
{
    static const char fhir[] = "/fhir";
    struct slice path = exchange->path;
    bool is_fhir = path.size >= sizeof fhir - 1 && memcmp(path.data, fhir, sizeof fhir - 1) == 0 &&
                   (path.size == sizeof fhir - 1 || path.data[sizeof fhir - 1] == '/');
    (is_fhir ? fhir_error : readings_error)(exchange, status, code, text);
}

enum err doors_new(const struct loop_context *loop, void **ret_doors)
{
    (void)loop;
    struct doors *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return ERR_NO_MEMORY;
    memory->scratch.data = malloc(DOORS_SCRATCH_BYTES);
    memory->scratch.capacity = DOORS_SCRATCH_BYTES;
    memory->scratch.spans = &memory->spans;
    memory->entries = calloc(BUNDLE_ENTRIES_MAX, sizeof *memory->entries);
    if (memory->scratch.data == NULL || memory->entries == NULL) {
        doors_free(memory);
        return ERR_NO_MEMORY;
    }
    *ret_doors = memory;
    return OK;
}

void doors_free(void *doors_)
{
    struct doors *memory = doors_;
    if (memory == NULL)
        return;
    slab_give(memory->scratch.data); /* it may have grown */
    free(memory->entries);
    free(memory);
}

struct doors *doors_of(const struct loop_context *loop)
{
    struct doors *memory = loop->doors;
    ensure(memory != NULL);
    memory->scratch.size = 0;
    return memory;
}
