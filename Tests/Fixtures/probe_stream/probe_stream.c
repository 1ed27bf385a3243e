/* The probe as a streaming handler that keeps its requests. */
#define PROBE_STREAM 1
#define PROBE_FLAGS GW_HF_KEEP_REQUEST
#include "../probe/probe.c"
