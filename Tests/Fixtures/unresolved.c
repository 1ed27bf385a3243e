/* Mistake: it was linked without a library that it needs. */
#include "gw_handler.h"

int function_of_a_library_nobody_linked(void);

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return function_of_a_library_nobody_linked() ? NULL : NULL;
}
