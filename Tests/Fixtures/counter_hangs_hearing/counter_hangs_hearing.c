/* The counter that is slow to hear that it is going to be replaced. */
#define COUNTER_VERSION "hangs hearing"
#define COUNTER_HANGS_HEARING
#include "../counter/counter.h"
