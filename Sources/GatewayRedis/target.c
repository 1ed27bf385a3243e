#include "redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { PORT = 6379 };

/* The number of a database, which pub/sub knows nothing of: it is made a part of the channel's name. */
static bool read_number(target *to, const char *digits, bp_text *why) {
    size_t length = strlen(digits);
    if (length == 0 || length > 9 || strspn(digits, "0123456789") != length) {
        bp_say(why, "the database in the URL is no number, as in redis://host/3 or redis+unix:/path?db=3");
        return false;
    }
    snprintf(to->prefix, sizeof to->prefix, "%d:", atoi(digits));
    return true;
}

static bool read_file(target *to, bp_text *why) {
    const bp_url *url = &to->url;
    if (url->host != NULL || url->path == NULL) {
        bp_say(why, "a socket in the file system is named by its path alone, as in %s:/run/redis.sock", url->scheme);
        return false;
    }
    if (strlen(url->path) >= sizeof ((struct sockaddr_un *)NULL)->sun_path) {
        bp_say(why, "the path of the socket has more than 107 octets");
        return false;
    }
    if (url->query != NULL && strncmp(url->query, "db=", 3) != 0) {
        bp_say(why, "the URL has a parameter that is not db");
        return false;
    }
    bp_say(&to->address, "%s", url->path);
    return read_number(to, url->query == NULL ? "0" : url->query + 3, why);
}

static bool read_host(target *to, bp_text *why) {
    bp_url *url = &to->url;
    if (url->host == NULL) {
        bp_say(why, "the URL names no host");
        return false;
    }
    if (url->query != NULL) {
        bp_say(why, "a URL of %s:// has no parameters", url->scheme);
        return false;
    }
    if (url->port == 0) url->port = PORT;
    bp_url_address(url, &to->address);
    return read_number(to, url->path == NULL || url->path[1] == 0 ? "0" : url->path + 1, why);
}

static bool read_url(target *to, bp_text *why) {
    const char *scheme = to->url.scheme;
    if (strcmp(scheme, "redis") == 0 || strcmp(scheme, "valkey") == 0) return read_host(to, why);
    if (strcmp(scheme, "redis+unix") == 0 || strcmp(scheme, "valkey+unix") == 0) return read_file(to, why);
    bp_say(why, "%.32s:// is no URL of this module, which has redis://, redis+unix:, valkey:// and valkey+unix:", scheme);
    if (strcmp(scheme, "rediss") == 0 || strcmp(scheme, "valkeys") == 0) {
        bp_say(why, "%s:// asks for TLS, which hiredis does not have; put a tunnel such as stunnel before the engine", scheme);
    }
    return false;
}

static bool read_secret(char **into, gw_span given, char **of_url, const char *what, bp_text *why) {
    if (given.len == 0) {
        *into = *of_url;
        *of_url = NULL;
        return true;
    }
    *into = bp_copy(given);
    if (*into == NULL) bp_say(why, "the %s holds an octet of zero", what);
    return *into != NULL;
}

bool target_read(target *to, const gw_backplane_config *config, bp_text *why) {
    *to = (target){0};
    if (config->url_count != 1) {
        bp_say(why, "a link has one URL, and this one has %zu", config->url_count);
        return false;
    }
    if (!bp_url_read(&to->url, config->urls[0], why)) return false;
    if (read_url(to, why) && read_secret(&to->user, config->user, &to->url.user, "user", why) &&
        read_secret(&to->password, config->password, &to->url.password, "password", why)) {
        return true;
    }
    target_free(to);
    return false;
}

void target_free(target *to) {
    bp_url_free(&to->url);
    free(to->user);
    bp_forget(to->password);
    *to = (target){0};
}
