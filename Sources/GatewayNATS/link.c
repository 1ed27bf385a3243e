/* The table of the contract: what a gateway asks of a link to NATS. */
#include "nats_module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATA_MAX = 64 << 20 };

/* ---- start and stop */

/* libnats may call back with a link that has been stopped since. So they are kept, and used again. */
static pthread_mutex_t spare_mutex = PTHREAD_MUTEX_INITIALIZER;
static link_ *spare;

static link_ *link_new(void) {
    pthread_mutex_lock(&spare_mutex);
    link_ *link = spare;
    if (link != NULL) spare = link->next;
    pthread_mutex_unlock(&spare_mutex);
    if (link != NULL) return link;
    link = calloc(1, sizeof *link);
    if (link != NULL && pthread_mutex_init(&link->gate, NULL) != 0) {
        free(link);
        return NULL;
    }
    return link;
}

static void link_keep(link_ *link) {
    free(link->name);
    link->name = NULL;
    seeds_free(&link->seeds);
    pthread_mutex_lock(&spare_mutex);
    link->next = spare;
    spare = link;
    pthread_mutex_unlock(&spare_mutex);
}

/* It becomes a part of a JSON text, into which libnats puts it as it is. */
static char *client_name(gw_span given) {
    char *name = malloc(given.len + 1);
    for (size_t at = 0; name != NULL && at < given.len; at++) {
        uint8_t octet = given.ptr[at];
        name[at] = octet < ' ' || octet > 0x7e || octet == '"' || octet == '\\' ? '-' : (char)octet;
    }
    if (name != NULL) name[given.len] = 0;
    return name;
}

static int32_t start(const gw_backplane_host *host, void *context, const gw_backplane_config *config, char *error,
                     void **self) {
    bp_text why = {"there is no memory"};
    link_ *link = link_new();
    bool is_old = host->struct_size < sizeof *host || config->struct_size < sizeof *config;
    if (is_old) bp_say(&why, "the gateway is too old for this module");
    bool done = link != NULL && !is_old && seeds_read(&link->seeds, config, &why);
    if (done) {
        link->host = host;
        link->context = context;
        link->timeout = config->timeout_ms;
        link->name = client_name(config->client_name);
        done = link->name != NULL && library_enter(&why);
    }
    if (!done) {
        if (link != NULL) link_keep(link);
        memcpy(error, why.bytes, sizeof why.bytes);
        return GW_BACKPLANE_E_CONFIG;
    }
    *self = link;
    return GW_BACKPLANE_OK;
}

static void stop(void *self) {
    library_leave();
    link_keep(self);
}

/* ---- what libnats says, on its threads */

void link_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *argument) {
    link_ *link = argument;
    uint8_t name[GW_BACKPLANE_NAME_MAX];
    (void)subscription;
    gw_publication one = {
        .name = {name, subject_read(name, natsMsg_GetSubject(message))},
        .data = {(const uint8_t *)natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message)},
    };
    pthread_mutex_lock(&link->gate);
    if (link->connection == connection && one.name.len > 0) link->host->deliver(link->context, &one, 1);
    pthread_mutex_unlock(&link->gate);
    natsMsg_Destroy(message);
}

static void lose(link_ *link, natsConnection *connection, const bp_text *why) {
    pthread_mutex_lock(&link->gate);
    if (link->connection == connection) {
        link->host->lost(link->context, link->attempt, why->bytes, strlen(why->bytes));
    }
    pthread_mutex_unlock(&link->gate);
}

static void explain(bp_text *why, natsConnection *connection, natsStatus status, const char *what) {
    const char *said = NULL;
    if (status == NATS_OK) status = natsConnection_GetLastError(connection, &said);
    else (void)natsConnection_GetLastError(connection, &said);
    if (said == NULL || said[0] == 0) said = natsStatus_GetText(status);
    bp_text quoted;
    bp_quote(&quoted, said, strlen(said));
    bp_say(why, "%s: %.256s", what, quoted.bytes);
}

void link_closed(natsConnection *connection, void *argument) {
    bp_text why;
    const char *said = NULL;
    if (natsConnection_GetLastError(connection, &said) == NATS_OK) bp_say(&why, "it closed the connection");
    else explain(&why, connection, NATS_OK, "the connection has ended");
    lose(argument, connection, &why);
}

void link_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *argument) {
    bp_text why;
    (void)subscription;
    if (status == NATS_SLOW_CONSUMER) bp_say(&why, "deliveries piled up until libnats dropped some");
    else explain(&why, connection, status, "NATS refuses");
    lose(argument, connection, &why);
}

/* ---- connect and disconnect */

static void tell(gw_engine *found, const bp_text *text) {
    size_t room = found->struct_size - offsetof(gw_engine, text);
    snprintf(found->text, room < sizeof text->bytes ? room : sizeof text->bytes, "%s", text->bytes);
}

/* What NATS is takes of data, or 0 if it does not say. */
static size_t limit_of(natsConnection *connection) {
    int64_t limit = natsConnection_GetMaxPayload(connection);
    return limit <= 0 ? 0 : limit > DATA_MAX ? DATA_MAX : (size_t)limit;
}

/* Its callbacks count from here. */
static bool adopt(link_ *link, natsConnection *connection, bp_text *why) {
    link->limit = limit_of(connection);
    pthread_mutex_lock(&link->gate);
    link->connection = connection;
    pthread_mutex_unlock(&link->gate);
    if (link->limit > 0 && !natsConnection_IsClosed(connection)) return true;
    if (link->limit == 0) bp_say(why, "what answers is no NATS: it does not say what it takes");
    else explain(why, connection, NATS_OK, "the connection has ended");
    return false;
}

static void disconnect(void *self) {
    link_ *link = self;
    pthread_mutex_lock(&link->gate);
    natsConnection *connection = link->connection;
    link->connection = NULL;
    pthread_mutex_unlock(&link->gate);
    if (connection == NULL) return;
    natsConnection_Close(connection);
    subscriptions_clear(&link->subscriptions);
    natsConnection_Destroy(connection);
}

static int32_t try_seed(link_ *link, const bp_url *seed, int64_t milliseconds, bp_text *text) {
    natsConnection *connection = NULL;
    bp_text why, address;
    bp_url_address(seed, &address);
    natsStatus status = connection_open(&connection, link, seed, milliseconds, &why);
    int32_t verdict = connection_verdict(status);
    if (status == NATS_OK && !adopt(link, connection, &why)) {
        disconnect(link);
        verdict = GW_BACKPLANE_E_AWAY;
    }
    if (verdict != GW_BACKPLANE_OK) {
        bp_say(text, "NATS at %.120s: %.380s", address.bytes, why.bytes);
        return verdict;
    }
    char id[128] = "";
    (void)natsConnection_GetConnectedServerId(connection, id, sizeof id);
    bp_quote(&why, id, strlen(id));
    bp_say(text, "NATS at %.300s (server %.128s)", address.bytes, why.bytes);
    return GW_BACKPLANE_OK;
}

static int32_t connect_(void *self, uint64_t attempt, gw_engine *found) {
    link_ *link = self;
    int64_t deadline = bp_now() + link->timeout;
    size_t count = link->seeds.count;
    /* Gateways that start together are not all to begin with the first one. */
    size_t first = (size_t)getpid() + (size_t)attempt;
    int32_t verdict = GW_BACKPLANE_E_AWAY;
    bp_text text = {""}, each;
    link->attempt = attempt;
    for (size_t tried = 0; tried < count; tried++) {
        int64_t share = bp_until(deadline) / (int64_t)(count - tried);
        if (share == 0) break;
        int32_t one = try_seed(link, &link->seeds.urls[(first + tried) % count], share, &each);
        if (one == GW_BACKPLANE_OK) {
            found->max_data = link->limit;
            tell(found, &each);
            return one;
        }
        /* A refusal says more than a silence. */
        if (tried == 0 || (one == GW_BACKPLANE_E_REFUSED && verdict != one)) text = each;
        if (one == GW_BACKPLANE_E_REFUSED) verdict = one;
    }
    tell(found, &text);
    return verdict;
}

/* ---- traffic */

static int32_t subscribe(void *self, const gw_span *names, size_t count) {
    link_ *link = self;
    natsConnection *connection = link->connection;
    int64_t deadline = bp_now() + link->timeout;
    for (size_t at = 0; at < count; at++) {
        subject_write(link->subject, names[at]);
        natsSubscription **kept = subscriptions_insert(&link->subscriptions, link->subject);
        if (kept == NULL) return GW_BACKPLANE_E_AWAY;
        if (*kept != NULL) continue;
        natsStatus status = natsConnection_Subscribe(kept, connection, link->subject, link_message, link);
        if (status != NATS_OK) return GW_BACKPLANE_E_AWAY;
        if (bp_until(deadline) == 0) return GW_BACKPLANE_E_AWAY;
    }
    return GW_BACKPLANE_OK;
}

static int32_t unsubscribe(void *self, const gw_span *names, size_t count) {
    link_ *link = self;
    int64_t deadline = bp_now() + link->timeout;
    for (size_t at = 0; at < count; at++) {
        subject_write(link->subject, names[at]);
        natsSubscription *one = subscriptions_take(&link->subscriptions, link->subject);
        natsStatus status = one == NULL ? NATS_OK : natsSubscription_Unsubscribe(one);
        natsSubscription_Destroy(one);
        if (status != NATS_OK || bp_until(deadline) == 0) return GW_BACKPLANE_E_AWAY;
    }
    return GW_BACKPLANE_OK;
}

/* What was published has come to the engine when it answers a PING. */
static int32_t flush(natsConnection *connection, int64_t deadline) {
    int left = bp_until(deadline);
    const char *said = NULL;
    if (left == 0 || natsConnection_FlushTimeout(connection, left) != NATS_OK) return GW_BACKPLANE_E_AWAY;
    natsStatus status = natsConnection_GetLastError(connection, &said);
    return status == NATS_NOT_PERMITTED ? GW_BACKPLANE_E_REFUSED : GW_BACKPLANE_OK;
}

static int32_t publish(void *self, const gw_publication *batch, size_t count, size_t *taken) {
    link_ *link = self;
    natsConnection *connection = link->connection;
    int64_t deadline = bp_now() + link->timeout;
    size_t at = 0;
    *taken = 0;
    for (; at < count && batch[at].data.len <= link->limit; at++) {
        gw_span data = batch[at].data;
        subject_write(link->subject, batch[at].name);
        natsStatus status = natsConnection_Publish(connection, link->subject, data.ptr, (int)data.len);
        if (status != NATS_OK || bp_until(deadline) == 0) return GW_BACKPLANE_E_AWAY;
    }
    int32_t verdict = at == 0 ? GW_BACKPLANE_OK : flush(connection, deadline);
    if (verdict != GW_BACKPLANE_OK) return verdict;
    *taken = at;
    return at < count ? GW_BACKPLANE_E_TOO_LARGE : GW_BACKPLANE_OK;
}

/* ---- the table */

static const gw_backplane table = {
    .struct_size = sizeof(gw_backplane),
    .abi_version = GW_BACKPLANE_ABI_VERSION,
    .name = "nats",
    .version = "1.0 with libnats " NATS_VERSION_STRING,
    .schemes = "nats tls",
    .flags = GW_BACKPLANE_SEEDS,
    .start = start,
    .connect = connect_,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .disconnect = disconnect,
    .stop = stop,
};

const gw_backplane *gw_backplane_entry_v1(uint32_t host_abi_version) {
    return host_abi_version / 65536 == GW_BACKPLANE_ABI_MAJOR ? &table : NULL;
}
