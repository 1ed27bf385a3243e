/* The counter that is slow to save itself. */
#define COUNTER_VERSION "hangs saving"
#define COUNTER_HANGS_SAVING
#include "../counter/counter.h"
