/* The probe as a handler whose callbacks must never meet, on whatever workers its connections are. */
#define PROBE_FLAGS GW_HF_SERIAL
#include "../probe/probe.c"
