#define BLOCKER_VERSION "2"
#include "../blocker/blocker.h"
