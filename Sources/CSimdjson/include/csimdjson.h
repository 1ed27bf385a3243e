/* The one function of simdjson that is used here, as C: whether bytes are UTF-8, many at a time on any processor. */
#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any thread. `bytes` may be NULL when there are none. */
bool csimdjson_is_utf8(const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
