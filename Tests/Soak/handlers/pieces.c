/* Streams every message back piece by piece as it comes in, and does not read on while its client does not. Counts what
 * has passed, and hands the count over. */
#include "ledger.h"

struct passer {
    struct client head;
    uint64_t messages;
    uint32_t is_held;
    uint32_t is_inside;  /* a message is being streamed */
};

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    *self = allocated(sizeof(struct instance));
    instance_begin(*self, config);
    return GW_OK;
}

static void stop(void *self) {
    instance_end(self);
    free(self);
}

static void open_client(void *self, gw_conn connection, void *state, const gw_request *request) {
    struct passer *passer = allocated(sizeof *passer);
    client_begin(self, &passer->head, connection, 0);
    if (host->conn_set_state(host, connection, passer) < 0) wrong(connection, "conn_set_state in open");
}

static void fragment(void *self, gw_conn connection, void *state, const gw_message *piece) {
    struct passer *passer = client_enter(self, connection, state, "fragment");
    if (passer == NULL) return;
    if (((piece->flags & GW_FIRST) == 0) != passer->is_inside)
        wrong(connection, "pieces: a piece is %s", passer->is_inside ? "a first one within a message" : "of no message");
    passer->is_inside = (piece->flags & GW_FIN) == 0;
    if (!passer->is_inside) passer->messages++;
    gw_status status = host->send_fragment(host, connection, piece->kind, piece->flags & GW_FIN, piece->data.ptr,
                                           piece->data.len);
    if (checked(connection, status, "send_fragment") == GW_BACKPRESSURE && connection % 2 == 0) {
        passer->is_held = 1;  /* the others leave it to the gateway, which stops reading by itself */
        host->set_reading(host, connection, 0);
    }
    client_leave(passer);
}

static void drained(void *self, gw_conn connection, void *state) {
    struct passer *passer = client_enter(self, connection, state, "drained");
    if (passer == NULL) return;
    if (passer->is_held) host->set_reading(host, connection, 1);
    passer->is_held = 0;
    client_leave(passer);
}

static void close_client(void *self, gw_conn connection, void *state, const gw_close *info) {
    struct passer *passer = client_end(self, connection, state, 0);
    if (passer == NULL) return;
    if (info->by == GW_BY_PEER && info->msgs_in != passer->messages)
        wrong(connection, "pieces: %llu messages came in, and %llu were heard", (unsigned long long)info->msgs_in,
              (unsigned long long)passer->messages);
    free(passer);
}

static gw_status save_conn(void *self, gw_conn connection, void *state, gw_sink *sink) {
    struct passer *passer = client_enter(self, connection, state, "save_conn");
    if (passer == NULL) return GW_E_STATE;
    if (passer->is_inside) wrong(connection, "pieces: save_conn within a message");
    gw_status status = host->sink_write(host, sink, &passer->messages, sizeof passer->messages);
    if (status >= 0) status = host->sink_write(host, sink, &passer->is_held, sizeof passer->is_held);
    client_leave(passer);
    return status;
}

static gw_status restore_conn(void *self, gw_conn connection, const gw_request *request, const gw_saved *saved,
                              void **state) {
    struct passer *passer = allocated(sizeof *passer);
    if (saved->data.len != 12) wrong(connection, "pieces: %zu bytes of saved state", saved->data.len);
    memcpy(&passer->messages, saved->data.ptr, 8);
    memcpy(&passer->is_held, saved->data.ptr + 8, 4);
    client_begin(self, &passer->head, connection, 1);
    *state = passer;
    return GW_OK;
}

static void drop_conn(void *self, gw_conn connection, void *state) {
    free(client_end(self, connection, state, 1));
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .flags = GW_HF_UNLOAD, .name = "pieces", .version = BUILD, .state_format = 0x706965636573, .state_version = 1,
    .start = start, .stop = stop, .open = open_client, .fragment = fragment, .drained = drained,
    .close = close_client, .save_conn = save_conn, .restore_conn = restore_conn, .drop_conn = drop_conn,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    soak_name = "pieces";
    return &table;
}
