/* Counts what it hears in metrics of its own: a counter, a gauge and a histogram. It answers with their numbers, and "kinds"
 * with those of names that the gateway should refuse. */
#include "common.h"
#include "gw_extensions.h"

static const gw_ext_metrics *metrics;
static uint32_t heard, longest, sizes, refused[3];

static gw_status start_meter(const gw_host *h, const gw_config *config, void **self) {
    start(h, config, self);
    metrics = (const gw_ext_metrics *)h->get_extension(h, GW_EXT_METRICS);
    if (!metrics) return GW_E_UNSUPPORTED;
    heard = metrics->define(h, config->instance, 0, "heard_total", "What \"came\"\nin \\ messages");
    longest = metrics->define(h, config->instance, 1, "longest_bytes", "The longest message.");
    sizes = metrics->define(h, config->instance, 2, "size_bytes", "How long messages are.");
    refused[0] = metrics->define(h, config->instance, 1, "heard_total", "another kind");
    refused[1] = metrics->define(h, config->instance, 0, "no-name", "a minus");
    refused[2] = metrics->define(h, config->instance, 7, "kind", "no kind");
    return GW_OK;
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    (void)self, (void)state;
    metrics->record(host, heard, 1);
    metrics->record(host, longest, (double)m->data.len);
    metrics->record(host, sizes, (double)m->data.len);
    say(c, heard != 0 && longest != 0 && sizes != 0 && !refused[0] && !refused[1] && !refused[2]);
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "meter", .version = "1.0", .start = start_meter, .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
