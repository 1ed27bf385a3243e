/* The files that `gateway new` writes, as bytes in the executable: it may be installed without this repository. */
#ifndef CTEMPLATES_H
#define CTEMPLATES_H

#include <stddef.h>

struct ctemplates_file {
    const char *name; /* where it stands in `files`, or "kit/" and its place in a new package's Kit */
    const char *text; /* UTF-8, NUL-terminated */
};

/* The file with that number; NULL behind the last one. */
const struct ctemplates_file *ctemplates_file(size_t number);

#endif
