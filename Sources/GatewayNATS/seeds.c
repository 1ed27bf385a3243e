#include "nats_module.h"

#include <stdlib.h>
#include <string.h>

enum { PORT = 4222 };

static bool read_seed(bp_url *url, gw_span text, bp_text *why) {
    if (!bp_url_read(url, text, why)) return false;
    if (url->port == 0) url->port = PORT;
    if (strcmp(url->scheme, "nats") != 0 && strcmp(url->scheme, "tls") != 0) {
        bp_say(why, "%.32s:// is no URL of this module, which has nats:// and tls://", url->scheme);
    } else if (url->host == NULL) {
        bp_say(why, "the URL names no host");
    } else if ((url->path != NULL && strcmp(url->path, "/") != 0) || url->query != NULL) {
        bp_say(why, "a URL of %s:// ends with its port", url->scheme);
    } else {
        return true;
    }
    bp_url_free(url);
    return false;
}

static bool read_secret(char **into, gw_span given, const char *what, bp_text *why) {
    if (given.len == 0) return true;
    *into = bp_copy(given);
    if (*into == NULL) bp_say(why, "the %s holds an octet of zero", what);
    return *into != NULL;
}

bool seeds_read(seeds *list, const gw_backplane_config *config, bp_text *why) {
    *list = (seeds){.urls = calloc(config->url_count + 1, sizeof(bp_url))};
    bool done = list->urls != NULL && config->url_count > 0;
    if (!done) bp_say(why, config->url_count == 0 ? "there is no URL" : "there is no memory");
    for (size_t at = 0; done && at < config->url_count; at++) {
        done = read_seed(&list->urls[at], config->urls[at], why);
        if (done) list->count++;
    }
    if (done) done = read_secret(&list->user, config->user, "user", why);
    if (done) done = read_secret(&list->password, config->password, "password", why);
    if (!done) seeds_free(list);
    return done;
}

void seeds_free(seeds *list) {
    for (size_t at = 0; at < list->count; at++) bp_url_free(&list->urls[at]);
    free(list->urls);
    free(list->user);
    bp_forget(list->password);
    *list = (seeds){0};
}
