/* doctor, vigied: whether it runs, what it says of itself, and what the system lets it have. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/doctor.h"

enum { REPLY_SECONDS = 10 };

/* The process at the other end of admin.sock; 0: nobody. */
static pid_t find_daemon(const struct config *config)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/admin.sock", config->node_state_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || length >= (int)sizeof address.sun_path ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        peer.pid = 0;
    if (fd >= 0)
        close(fd);
    return peer.pid;
}

/* The soft limit of open files of a process; 0: not to be known. */
static unsigned long open_files_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long limit = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Max open files %lu", &limit) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return limit;
}

/* PITFALLS U6: a tenth is kept for journal, PostgreSQL and Kafka. */
static void look_at_descriptors(struct doctor *doctor, pid_t pid)
{
    static const struct doctor_check check = {
        "descriptors.limit", "nine tenths hold connections_max of every listener",
        "raise LimitNOFILE of the unit, or lower [listen] connections_max"};
    const struct config *config = doctor->config;
    unsigned long limit = open_files_of(pid);
    unsigned long wanted = config_listeners(config, false) * (unsigned long)config->listen_connections_max;
    if (limit == 0)
        doctor_tell(doctor, &check, DOCTOR_WARN, "not to be known of process %d", (int)pid);
    else
        doctor_tell(doctor, &check, limit / 10 * 9 >= wanted ? DOCTOR_OK : DOCTOR_WARN,
                    "%lu for %lu connections", limit, wanted);
}

static void list(const json_t *array, struct buffer *text)
{
    size_t index;
    const json_t *item;
    json_array_foreach(array, index, item)
        buffer_printf(text, "%s%s", index == 0 ? "" : "; ", json_string_value(item));
    buffer_append(text, "", 1);
}

static void look_at_readiness(struct doctor *doctor)
{
    static const struct doctor_check ready = {"daemon.ready", "readings are accepted",
                                              "the line says what is in the way; "
                                              "journalctl -u vigied"};
    static const struct doctor_check whole = {"daemon.degraded", "nothing",
                                              "readings are accepted meanwhile; mend it"};
    const struct admin_exchange exchange = {.state_dir = doctor->config->node_state_dir,
                                            .method = "GET",
                                            .target = "/readyz",
                                            .timeout_s = REPLY_SECONDS};
    struct admin_reply reply;
    enum err error = admin_exchange(&exchange, &reply);
    if (error != OK) {
        doctor_tell(doctor, &ready, DOCTOR_FAIL, "%s", err_text(error));
        return;
    }
    json_error_t fault;
    json_t *body = json_loads(reply.body.data, 0, &fault);
    struct buffer faults = {0}, degraded = {0};
    list(json_object_get(body, "not_ready"), &faults);
    list(json_object_get(body, "degraded"), &degraded);
    doctor_tell(doctor, &ready, reply.status == 200 ? DOCTOR_OK : DOCTOR_FAIL, "%s",
                reply.status == 200 ? "ready" : faults.data);
    doctor_tell(doctor, &whole, degraded.size == 1 ? DOCTOR_OK : DOCTOR_WARN, "%s",
                degraded.size == 1 ? "nothing" : degraded.data);
    buffer_deinit(&faults);
    buffer_deinit(&degraded);
    json_decref(body);
    buffer_deinit(&reply.body);
}

void doctor_daemon(struct doctor *doctor)
{
    static const struct doctor_check check = {"daemon.running", "vigied on admin.sock",
                                              "systemctl start vigied"};
    pid_t pid = find_daemon(doctor->config);
    if (pid == 0) {
        doctor_tell(doctor, &check, DOCTOR_FAIL, "nobody on %s/admin.sock", doctor->config->node_state_dir);
        return;
    }
    doctor_tell(doctor, &check, DOCTOR_OK, "process %d", (int)pid);
    look_at_descriptors(doctor, pid);
    look_at_readiness(doctor);
}
