/* The pages that the gateway serves itself, as bytes in the executable: it may be installed without this repository. */
#ifndef CPAGES_H
#define CPAGES_H

#include <stddef.h>

struct cpages_file {
    const char *name; /* where it stands in `files` */
    const unsigned char *bytes;
    size_t length;
};

/* The file with that number; NULL behind the last one. */
const struct cpages_file *cpages_file(size_t number);

#endif
