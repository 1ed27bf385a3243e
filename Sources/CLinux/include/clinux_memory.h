/* Files that are only memory, for two processes to share. */
#ifndef CLINUX_MEMORY_H
#define CLINUX_MEMORY_H

#include <stdint.h>

/* Makes a file of so many bytes, all of them zero, that takes no memory until it is written to and whose size never
 * changes, close-on-exec; -1 with errno set. */
int clinux_make_memory(const char *name, uint64_t bytes);

#endif
