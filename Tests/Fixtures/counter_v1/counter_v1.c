/* The counter, whose author vouches that it can be unloaded. */
#define COUNTER_VERSION "1"
#define COUNTER_FLAGS GW_HF_UNLOAD
#include "../counter/counter.h"
