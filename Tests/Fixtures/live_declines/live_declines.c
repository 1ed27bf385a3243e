/* Mistake: see live.h. */
#define LIVE_DECLINES
#include "../live/live.h"
