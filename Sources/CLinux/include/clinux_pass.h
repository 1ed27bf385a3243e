/* Bytes with descriptors beside them, between processes that a unix stream socket connects. */
#ifndef CLINUX_PASS_H
#define CLINUX_PASS_H

#include <stddef.h>

/* Descriptors that one call sends at most; the kernel's own bound is SCM_MAX_FD, 253. */
enum { CLINUX_MOST_PASSED = 253 };

/* Makes two connected ends, non-blocking and close-on-exec; 0, or -1 with errno set. */
int clinux_socket_pair(int *one, int *other);

/* Sends what the kernel takes of the bytes, in one call; the descriptors leave with the first of them, and stay the
 * caller's to close. Without a byte nothing can go beside it: EINVAL. How many bytes, or -1 with errno set, and then
 * nothing has left. */
ptrdiff_t clinux_send_passing(int socket, const void *memory, size_t bytes, const int *descriptors, int count);

/* Reads once. Descriptors that came with the bytes are the caller's from here on, close-on-exec, at most `room` of them;
 * how many is told in `count`. How many bytes, 0 at the end of the stream, or -1 with errno set. Where more have come,
 * EPROTO, or this process cannot hold as many as have come, EMFILE, those that have come are closed, and with the bytes
 * beside them they are lost: such a stream has no future. */
ptrdiff_t clinux_receive_passed(int socket, void *memory, size_t bytes, int *descriptors, int room, int *count);

/* Whether this is a unix stream socket that is connected. */
int clinux_is_stream_pair(int descriptor);

#endif
