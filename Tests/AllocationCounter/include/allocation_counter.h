/* Counts what the calling thread takes from the heap, by standing in front of the C library's allocator.
 * Linked into tests only. Under a sanitizer, which has an allocator of its own, nothing is counted. */
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/* False when a sanitizer's allocator is in place and the numbers mean nothing. */
bool allocation_counter_works(void);

/* Allocations of the calling thread so far: malloc, calloc, realloc and the aligned ones. */
int64_t allocation_count(void);

/* Bytes the calling thread has asked for so far. */
int64_t allocated_bytes(void);

/* Blocks the calling thread has given back so far. */
int64_t release_count(void);

#endif
