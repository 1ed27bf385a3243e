/* The counter that is slow to stop. */
#define COUNTER_VERSION "hangs stopping"
#define COUNTER_HANGS_STOPPING
#include "../counter/counter.h"
