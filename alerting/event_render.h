/* event_render: the JSON of one alert event, INTERFACES.md section 5, keys in the order shown there, and its
 * head. The only formatting on a shard; once an event. Threads: the shard's alone. Holds:   at most
 * EVENT_JSON_BYTES_MAX: readings, priorities and texts are bounded, ensured. */
#ifndef VIGIE_ALERTING_EVENT_RENDER_H
#define VIGIE_ALERTING_EVENT_RENDER_H

#include "alerting/engine_state.h"

void event_render(const struct engine *engine, const struct pending *pending, struct alert_event *ret_event,
                  struct buffer *json);

#endif
