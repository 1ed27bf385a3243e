#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void stream_say(bp_text *why, const char *what, int error) {
    char text[128];
    bp_say(why, "%s: %s", what, error == ETIMEDOUT ? "no answer in time" : strerror_r(error, text, sizeof text));
}

/* 0, or an errno: ETIMEDOUT when the deadline has passed. */
static int await(int socket, short events, int64_t deadline) {
    struct pollfd one = {.fd = socket, .events = events};
    for (;;) {
        int ready = poll(&one, 1, deadline < 0 ? -1 : bp_until(deadline));
        if (ready > 0) return 0;
        if (ready == 0) return ETIMEDOUT;
        if (errno != EINTR) return errno;
    }
}

/* A socket that is connected, or the errno as a negative number. */
static int connected(const struct sockaddr *address, socklen_t length, int64_t deadline) {
    int made = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0, on = 1;
    socklen_t size = sizeof error;
    if (made < 0) return -errno;
    if (connect(made, address, length) != 0) error = errno;
    /* EAGAIN: a socket in the file system whose queue is full, which poll() does not wait for. */
    if (error == EINPROGRESS) {
        error = await(made, POLLOUT, deadline);
        if (error == 0 && getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
    if (error != 0) {
        close(made);
        return -error;
    }
    /* Neither is needed to go on, and a socket in the file system has no TCP. */
    (void)setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return made;
}

static int open_file(const char *path, int64_t deadline, bp_text *why) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int made = connected((const struct sockaddr *)&address, sizeof address, deadline);
    if (made < 0) stream_say(why, "cannot connect", -made);
    return made;
}

int stream_open(const bp_url *target, int64_t deadline, bp_text *why) {
    if (target->host == NULL) return open_file(target->path, deadline, why);
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)target->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    int error = getaddrinfo(target->host, port, &hints, &found), made = -ETIMEDOUT, left = 0;
    if (error != 0) {
        bp_say(why, "the host is not known: %s", gai_strerror(error));
        return -1;
    }
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) left++;
    for (const struct addrinfo *each = found; each != NULL && made < 0; each = each->ai_next, left--) {
        int share = bp_until(deadline) / left;
        made = connected(each->ai_addr, each->ai_addrlen, bp_now() + share);
    }
    freeaddrinfo(found);
    if (made < 0) stream_say(why, "cannot connect", -made);
    return made;
}

int stream_write(int socket, const uint8_t *bytes, size_t length, int64_t deadline) {
    size_t done = 0;
    while (done < length) {
        ssize_t more = send(socket, bytes + done, length - done, MSG_NOSIGNAL);
        if (more >= 0) {
            done += (size_t)more;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int error = await(socket, POLLOUT, deadline);
            if (error != 0) return error;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

ssize_t stream_read(int socket, uint8_t *bytes, size_t room, int64_t deadline) {
    for (;;) {
        ssize_t got = recv(socket, bytes, room, 0);
        if (got >= 0) return got;
        int error = errno;
        if (error == EAGAIN || error == EWOULDBLOCK) error = await(socket, POLLIN, deadline);
        if (error != 0 && error != EINTR) return -error;
    }
}
