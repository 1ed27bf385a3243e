#define BLOCKER_VERSION "1"
#include "../blocker/blocker.h"
