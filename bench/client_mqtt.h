/* client_mqtt: what a load client says in MQTT 5: CONNECT, one PUBLISH of QoS 1 a message, and what PUBACK
 * means. Threads: one. */
#ifndef VIGIE_BENCH_CLIENT_MQTT_H
#define VIGIE_BENCH_CLIENT_MQTT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "daemon/base/buffer.h"

/* On a blocking connection; false when it is not accepted. */
bool client_mqtt_connect(SSL *ssl, unsigned number, const char *token);
void client_mqtt_append(struct buffer *request, const char *topic, const struct buffer *body);
/* Size of the whole first packet of an answer, 0 before it is there. */
size_t client_mqtt_total(const char *answer, size_t size);
bool client_mqtt_is_good(const char *answer, size_t total);

#endif
