#include "nats_module.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Of one subscription that wait for their delivery, with 1,024 times as many octets; libnats drops what is above. */
    PENDING = 1 << 18,
};

/* libnats puts it between quotes as it is. A control octet is in no URL, and what the configuration holds of those no
 * server will know. */
static char *quoted(const char *text) {
    char *copy = malloc(2 * strlen(text) + 1), *to = copy;
    for (; copy != NULL && *text != 0; text++) {
        if (*text == '"' || *text == '\\') *to++ = '\\';
        *to++ = *text;
    }
    if (copy != NULL) *to = 0;
    return copy;
}

static natsStatus credentials(natsOptions *options, const seeds *all, const bp_url *seed) {
    const char *given_user = all->user != NULL ? all->user : seed->user;
    const char *given_password = all->password != NULL ? all->password : seed->password;
    if (given_user == NULL && given_password == NULL) return NATS_OK;
    char *user = quoted(given_user == NULL ? "" : given_user);
    char *password = quoted(given_password == NULL ? "" : given_password);
    natsStatus status = NATS_NO_MEMORY;
    if (user != NULL && password != NULL) {
        /* One alone is a token, as in nats://token@host. */
        if (given_user == NULL) status = natsOptions_SetToken(options, password);
        else if (given_password == NULL) status = natsOptions_SetToken(options, user);
        else status = natsOptions_SetUserInfo(options, user, password);
    }
    free(user);
    bp_forget(password);
    return status;
}

static natsStatus set(natsOptions *options, link_ *link, const bp_url *seed, int64_t milliseconds) {
    bp_text address;
    char url[sizeof address.bytes + 8];
    bool is_tls = strcmp(seed->scheme, "tls") == 0;
    bp_url_address(seed, &address);
    snprintf(url, sizeof url, "%s://%s", seed->scheme, address.bytes);
    natsStatus status = natsOptions_SetURL(options, url);
    if (status == NATS_OK) status = credentials(options, &link->seeds, seed);
    if (status == NATS_OK && is_tls) status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK) status = natsOptions_SetName(options, link->name);
    if (status == NATS_OK) status = natsOptions_SetTimeout(options, milliseconds);
    if (status == NATS_OK) status = natsOptions_SetWriteDeadline(options, link->timeout);
    /* Whether and when to try again is the gateway's affair. */
    if (status == NATS_OK) status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK) status = natsOptions_SetIgnoreDiscoveredServers(options, true);
    if (status == NATS_OK) status = natsOptions_UseGlobalMessageDelivery(options, true);
    if (status == NATS_OK) status = natsOptions_SetMaxPendingMsgs(options, PENDING);
    if (status == NATS_OK) status = natsOptions_SetClosedCB(options, link_closed, link);
    if (status == NATS_OK) status = natsOptions_SetErrorHandler(options, link_error, link);
    return status;
}

static void explain(bp_text *why, natsStatus status) {
    const char *more = nats_GetLastError(NULL), *text = natsStatus_GetText(status);
    bp_text quoted;
    if (more != NULL && more[0] != 0) text = more;
    /* "(conn.c:1909): " is for those who know libnats from inside. */
    const char *behind = text[0] == '(' ? strstr(text, "): ") : NULL;
    if (behind != NULL) text = behind + 3;
    bp_quote(&quoted, text, strlen(text));
    bp_say(why, "%.256s", quoted.bytes);
    if (status == NATS_SECURE_CONNECTION_REQUIRED) bp_say(why, "it wants TLS: write tls:// instead of nats://");
    if (status == NATS_SECURE_CONNECTION_WANTED) bp_say(why, "it has no TLS: write nats:// instead of tls://");
    if (status == NATS_TIMEOUT) bp_say(why, "no answer in time");
}

/* All signals are blocked here, for the threads that come of it. */
static natsStatus connect_watched(natsConnection **made, natsOptions *options, const bp_url *seed, int64_t milliseconds) {
    watchdog dog;
    if (!watchdog_start(&dog, seed, milliseconds)) return NATS_NO_MEMORY;
    natsStatus status = natsConnection_Connect(made, options);
    if (!watchdog_end(&dog)) return status;
    if (status == NATS_OK) natsConnection_Destroy(*made);
    *made = NULL;
    return NATS_TIMEOUT;
}

natsStatus connection_open(natsConnection **made, link_ *link, const bp_url *seed, int64_t milliseconds, bp_text *why) {
    natsOptions *options = NULL;
    sigset_t all, before;
    sigfillset(&all);
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK) status = set(options, link, seed, milliseconds);
    if (status == NATS_OK) {
        pthread_sigmask(SIG_SETMASK, &all, &before);
        status = connect_watched(made, options, seed, milliseconds);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (status != NATS_OK) explain(why, status);
    natsOptions_Destroy(options);
    return status;
}

int32_t connection_verdict(natsStatus status) {
    switch (status) {
    case NATS_OK:
        return GW_BACKPLANE_OK;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SSL_ERROR:
        return GW_BACKPLANE_E_REFUSED;
    default:
        return GW_BACKPLANE_E_AWAY;
    }
}
