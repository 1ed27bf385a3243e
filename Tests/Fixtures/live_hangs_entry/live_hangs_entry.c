/* Mistake: see live.h. */
#define LIVE_HANGS_ENTRY
#include "../live/live.h"
