#define _GNU_SOURCE
#include "clinux_pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for all that the kernel ever passes with one call, so that it never has to cut for want of room here. */
union control {
    struct cmsghdr alignment;
    unsigned char bytes[CMSG_SPACE(CLINUX_MOST_PASSED * sizeof(int)) + CMSG_SPACE(3 * sizeof(int))];
};

int clinux_socket_pair(int *one, int *other) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    *one = ends[0];
    *other = ends[1];
    return 0;
}

ptrdiff_t clinux_send_passing(int socket, const void *memory, size_t bytes, const int *descriptors, int count) {
    union control control;
    struct iovec vector = {.iov_base = (void *)memory, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count < 0 || count > CLINUX_MOST_PASSED || (count > 0 && bytes == 0)) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        struct cmsghdr *header;
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)count * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

/* Takes the descriptors out of one control message: as many as there is room for, and closes the others. How many had
 * to be closed. */
static int take(struct cmsghdr *header, int *descriptors, int room, int *count) {
    size_t length = header->cmsg_len - CMSG_LEN(0);
    int refused = 0;
    for (size_t i = 0; i < length / sizeof(int); i += 1) {
        int number;
        memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
        if (*count < room) {
            descriptors[*count] = number;
            *count += 1;
        } else {
            close(number);
            refused += 1;
        }
    }
    return refused;
}

static void close_all(int *descriptors, int *count) {
    while (*count > 0) {
        *count -= 1;
        close(descriptors[*count]);
    }
}

ptrdiff_t clinux_receive_passed(int socket, void *memory, size_t bytes, int *descriptors, int room, int *count) {
    union control control;
    struct iovec vector = {.iov_base = memory, .iov_len = bytes};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int refused = 0;
    ptrdiff_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    *count = 0;
    if (received < 0) {
        return -1;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            refused += take(header, descriptors, room, count);
        }
    }
    /* There was room for all, so what is cut is what found no number: the limit of this process. */
    if (refused > 0 || (message.msg_flags & MSG_CTRUNC) != 0) {
        close_all(descriptors, count);
        errno = refused > 0 ? EPROTO : EMFILE;
        return -1;
    }
    return received;
}

int clinux_is_stream_pair(int descriptor) {
    int type = 0;
    socklen_t length = sizeof type;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) {
        return 0;
    }
    return getpeername(descriptor, (struct sockaddr *)&name, &size) == 0 && name.ss_family == AF_UNIX;
}
