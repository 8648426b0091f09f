/* Sends one request with Content-Length and reads one answer with Content-Length, "Connection: close" on both
 * sides; nothing more of HTTP is needed between two programs of ours. */
#include "daemon/ctl/admin_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, ANSWER_BYTES_MAX = 256 << 20 };

static enum err connect_socket(const struct admin_exchange *exchange, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/admin.sock", exchange->state_dir);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path))
        return ERR_LIMIT;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    const struct timeval patience = {.tv_sec = exchange->timeout_s};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int number = errno;
        close(fd);
        return number == ENOENT || number == ECONNREFUSED ? ERR_NOT_FOUND
               : number == EACCES || number == EPERM      ? ERR_PERMISSION
                                                          : ERR_UNAVAILABLE;
    }
    *ret_fd = fd;
    return OK;
}

static enum err send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return ERR_UNAVAILABLE; /* an answer may wait all the same: 413 comes before the body is read */
        data += sent;
        size -= (size_t)sent;
    }
    return OK;
}

static enum err send_request(int fd, const struct admin_exchange *exchange)
{
    struct buffer head = {.data = NULL};
    buffer_printf(&head, "%s %s HTTP/1.1\r\nHost: vigie\r\nConnection: close\r\n", exchange->method,
                  exchange->target);
    if (exchange->content_type != NULL)
        buffer_printf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", exchange->content_type,
                      exchange->body_size);
    buffer_text(&head, "\r\n");
    enum err error = send_all(fd, head.data, head.size);
    buffer_deinit(&head);
    return error == OK ? send_all(fd, exchange->body, exchange->body_size) : error;
}

static long content_length(const char *head)
{
    static const char name[] = "\r\ncontent-length:";
    const char *at = strcasestr(head, name);
    return at == NULL ? -1 : strtol(at + sizeof(name) - 1, NULL, 10);
}

/* Whether the last answer so far has its whole body; one without a length ends when the other side closes. */
static bool is_whole(const struct buffer *answer)
{
    const char *head = answer->data;
    const char *body = strstr(head, "\r\n\r\n");
    if (body != NULL && strncmp(head, "HTTP/1.1 1", 10) == 0) {
        head = body + 4;
        body = strstr(head, "\r\n\r\n");
    }
    long length = body == NULL ? -1 : content_length(head);
    return length >= 0 && answer->data + answer->size - (body + 4) >= length;
}

static enum err read_answer(int fd, struct buffer *answer)
{
    for (;;) {
        ssize_t count = recv(fd, buffer_reserve(answer, READ_BYTES + 1), READ_BYTES, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return answer->size > 0 && errno == ECONNRESET ? OK : ERR_UNAVAILABLE;
        answer->size += (size_t)count;
        answer->data[answer->size] = '\0';
        if (count == 0 || is_whole(answer))
            return OK;
        if (answer->size > ANSWER_BYTES_MAX)
            return ERR_LIMIT;
    }
}

/* Head and body of the last answer: an interim 100 Continue is passed over. */
static enum err split_answer(const struct buffer *answer, struct admin_reply *ret_reply)
{
    char *at = answer->data;
    int status = 100;
    char *body = NULL;
    while (status < 200) {
        body = strstr(at, "\r\n\r\n");
        if (body == NULL || sscanf(at, "HTTP/1.%*d %d", &status) != 1)
            return ERR_FORMAT;
        body[2] = '\0';
        body += 4;
        if (status < 200)
            at = body;
    }
    size_t size = (size_t)(answer->data + answer->size - body);
    long promised = content_length(at);
    if (promised > (long)size)
        return ERR_UNAVAILABLE;
    buffer_append(&ret_reply->body, body, promised < 0 ? size : (size_t)promised);
    buffer_append(&ret_reply->body, "", 1);
    ret_reply->body.size--;
    ret_reply->status = status;
    return OK;
}

enum err admin_exchange(const struct admin_exchange *exchange, struct admin_reply *ret_reply)
{
    int fd = -1;
    struct buffer answer = {.data = NULL};
    *ret_reply = (struct admin_reply){.status = 0};
    enum err error = connect_socket(exchange, &fd);
    if (error != OK)
        return error;
    enum err sent = send_request(fd, exchange);
    error = read_answer(fd, &answer);
    if (error == OK)
        error = answer.size == 0 ? ERR_UNAVAILABLE : split_answer(&answer, ret_reply);
    if (error != OK && sent != OK)
        error = sent;
    close(fd);
    buffer_deinit(&answer);
    return error;
}
