/* The counter that keeps nothing. */
#define COUNTER_VERSION "1"
#define COUNTER_FLAGS GW_HF_STATELESS
#include "../counter/counter.h"
