/* The counter that is slow to take over. */
#define COUNTER_VERSION "hangs restoring"
#define COUNTER_HANGS_RESTORING
#include "../counter/counter.h"
