/* Mistake: see live.h. */
#define LIVE_HANGS_START
#include "../live/live.h"
