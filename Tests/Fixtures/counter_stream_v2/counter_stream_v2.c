/* The same with another version. */
#define COUNTER_VERSION "2"
#define COUNTER_STREAMS
#include "../counter/counter.h"
