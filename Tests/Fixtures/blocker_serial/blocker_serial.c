#define BLOCKER_VERSION "1"
#define BLOCKER_FLAGS GW_HF_SERIAL
#include "../blocker/blocker.h"
