/* Never frees what it allocates for a connection. */
#include "gw_handler.h"
static void opens(void *self, gw_conn conn, void *state, const gw_request *request);
#define MISUSE_MORE .flags = GW_HF_STATELESS, .open = opens
#include "misuse.h"

static void opens(void *self, gw_conn conn, void *state, const gw_request *request) {
    (void)self;
    (void)state;
    (void)request;
    void *lost = malloc(16384);
    if (lost != NULL) {
        memset(lost, 1, 16384);
        host->conn_set_state(host, conn, lost);
    }
}

MISUSE_TABLE("leaks")
