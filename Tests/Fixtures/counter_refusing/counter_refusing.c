/* The counter that does not take over everybody. */
#define COUNTER_VERSION "refusing"
#define COUNTER_REFUSES
#include "../counter/counter.h"
