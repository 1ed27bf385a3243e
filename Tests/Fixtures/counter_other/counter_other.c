/* The counter with state that nobody else can read. */
#define COUNTER_VERSION "other"
#define COUNTER_FORMAT 0xBADu
#include "../counter/counter.h"
