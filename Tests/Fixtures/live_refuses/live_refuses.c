/* Mistake: see live.h. */
#define LIVE_REFUSES
#include "../live/live.h"
