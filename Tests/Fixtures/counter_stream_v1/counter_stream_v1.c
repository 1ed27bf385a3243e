/* The counter that takes messages piece by piece. */
#define COUNTER_VERSION "1"
#define COUNTER_STREAMS
#include "../counter/counter.h"
