/* The header must stand alone in C, and its layout may never move: these asserts are the proof. */
#include "gw_handler.h"
_Static_assert(sizeof(gw_str) == 16 && sizeof(gw_kv) == 32, "views are pointer and length");
