/* Built with -DGATE="path of a FIFO", a thread of its own holds the instance: for an 's' that it reads there it publishes,
 * after an 'r' it releases and ends, after an 'e' it only ends. Messages ask for holds and releases by name. -DVERSION="2"
 * tells builds apart. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "common.h"

#ifdef GATE
static pthread_t thread;
static int gate;

static void *run(void *context) {
    char word = 0;
    while (read(gate, &word, 1) == 1 && word == 's') {
        host->publish(host, instance, "t", 1, GW_TEXT, 0, "from the thread", 15, 0, NULL);
    }
    if (word == 'r') tell("released", host->release(host, instance));
    return NULL;
}
#endif

static gw_status start_holding(const gw_host *h, const gw_config *config, void **self) {
    start(h, config, self);
    if (host->hold(host, instance) != GW_OK) return GW_E_FAILED;
    if ((config->flags & GW_CFG_PROBE) != 0) return GW_OK;
#ifdef GATE
    /* For reading and writing, so that the FIFO never ends. */
    gate = open(GATE, O_RDWR);
    return gate >= 0 && pthread_create(&thread, NULL, run, NULL) == 0 ? GW_OK : GW_E_FAILED;
#else
    return host->release(host, instance);
#endif
}

static void stop(void *self) {
#ifdef GATE
    if (gate > 0 && write(gate, "e", 1) == 1) pthread_join(thread, NULL);
#endif
    tell("stopped", (long long)host->generation);
}

static void open_client(void *self, gw_conn conn, void *state, const gw_request *request) {
    host->subscribe(host, conn, 0, "t", 1);
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    if (begins(message, "hold")) say(conn, host->hold(host, instance));
    if (begins(message, "release")) say(conn, host->release(host, instance));
    if (begins(message, "wrong")) say(conn, host->hold(host, instance + 1000));
    if (begins(message, "generation")) say(conn, (long long)host->generation);
}

static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 2), .flags = GW_HF_STATELESS | GW_HF_UNLOAD, .name = "holding",
    .version = VERSION, .start = start_holding, .stop = stop, .open = open_client, .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}
