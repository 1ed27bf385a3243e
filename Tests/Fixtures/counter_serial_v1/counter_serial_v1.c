/* The counter whose callbacks must never meet. */
#define COUNTER_VERSION "1"
#define COUNTER_FLAGS GW_HF_SERIAL
#include "../counter/counter.h"
