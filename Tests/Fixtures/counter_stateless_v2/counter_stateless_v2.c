/* The same with another version. */
#define COUNTER_VERSION "2"
#define COUNTER_FLAGS GW_HF_STATELESS
#include "../counter/counter.h"
