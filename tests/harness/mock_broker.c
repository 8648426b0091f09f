/* mock_broker: librdkafka's mock cluster in a process of its own, for the demo and for fault tests.
 *
 *   mock_broker [--topic NAME] [--partitions N] [--brokers N]
 *
 * Makes the topic, prints `bootstrap=127.0.0.1:PORT,...` and serves until its standard input ends or SIGTERM
 * comes. Its limits (PITFALLS section 2.1): plain text on loopback; what it holds dies with it; a partition
 * keeps 5 MiB; an idempotent producer's repeats are not dropped; topics cannot be made over the wire. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wish {
    const char *topic;
    int partitions, brokers;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    ended = 1;
}

static int read_wish(int argc, char **argv, struct wish *wish)
{
    for (int index = 1; index + 1 < argc; index += 2) {
        if (strcmp(argv[index], "--topic") == 0)
            wish->topic = argv[index + 1];
        else if (strcmp(argv[index], "--partitions") == 0)
            wish->partitions = atoi(argv[index + 1]);
        else if (strcmp(argv[index], "--brokers") == 0)
            wish->brokers = atoi(argv[index + 1]);
        else
            return 0;
    }
    return argc % 2 == 1 && wish->partitions > 0 && wish->brokers > 0;
}

/* Until somebody wants us to end; what is said on standard input does not matter. */
static void wait_for_end(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[256];
    while (!ended) {
        if (poll(&input, 1, -1) > 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
            return;
    }
}

int main(int argc, char **argv)
{
    struct wish wish = {"vigie.alerts", 12, 1};
    char fault[512];
    if (!read_wish(argc, argv, &wish)) {
        fprintf(stderr, "usage: mock_broker [--topic NAME] [--partitions N] [--brokers N]\n");
        return 64;
    }
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: poll() must return */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, fault, sizeof(fault));
    rd_kafka_mock_cluster_t *cluster =
        handle != NULL ? rd_kafka_mock_cluster_new(handle, wish.brokers) : NULL;
    if (cluster == NULL) {
        fprintf(stderr, "cannot start the mock cluster: %s\n", handle != NULL ? "no sockets" : fault);
        return 71;
    }
    rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, wish.topic, wish.partitions, wish.brokers);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "cannot make topic %s: %s\n", wish.topic, rd_kafka_err2str(code));
        return 65;
    }
    printf("bootstrap=%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    wait_for_end();
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
    return 0;
}
