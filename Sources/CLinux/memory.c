#define _GNU_SOURCE
#include "clinux_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int clinux_make_memory(const char *name, uint64_t bytes) {
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) {
        return -1;
    }
    /* What is mapped stays there: no other process can make a look at it a fault. */
    if (ftruncate(file, (off_t)bytes) != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int why = errno;
        close(file);
        errno = why;
        return -1;
    }
    return file;
}
