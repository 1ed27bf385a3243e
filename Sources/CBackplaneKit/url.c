#include "backplane_kit.h"

#include <stdlib.h>
#include <string.h>

enum { URL_MAX = 4096 };

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/* A copy without escapes. NULL: an escape is broken, or stands for an octet that no such text can hold. */
static char *unescaped(const char *from, size_t length) {
    char *copy = malloc(length + 1), *to = copy;
    for (size_t at = 0; copy != NULL && at < length; at++) {
        char octet = from[at];
        if (octet == '%') {
            if (length - at < 3 || hex(from[at + 1]) < 0 || hex(from[at + 2]) < 0) octet = 0;
            else octet = (char)(hex(from[at + 1]) * 16 + hex(from[at + 2]));
            at += 2;
        }
        if ((unsigned char)octet < 0x20 || octet == 0x7f) {
            *to = 0;
            bp_forget(copy);
            return NULL;
        }
        *to++ = octet;
    }
    if (copy != NULL) *to = 0;
    return copy;
}

static bool part(char **into, const char *from, const char *end, const char *what, bp_text *why) {
    *into = unescaped(from, (size_t)(end - from));
    if (*into == NULL) bp_say(why, "the %s in the URL has an escape that is broken or stands for a control octet", what);
    return *into != NULL;
}

static bool read_port(bp_url *url, const char *from, const char *end, bp_text *why) {
    unsigned long port = 0;
    for (const char *at = from; at < end; at++) {
        if (*at < '0' || *at > '9' || port > 65535) {
            port = 0;
            break;
        }
        port = port * 10 + (unsigned long)(*at - '0');
    }
    if (port == 0 || port > 65535) {
        bp_say(why, "the port in the URL is no number from 1 to 65535");
        return false;
    }
    url->port = (uint16_t)port;
    return true;
}

static bool read_host(bp_url *url, const char *from, const char *end, bp_text *why) {
    const char *first = from, *last, *after;
    if (from < end && *from == '[') {
        first++;
        last = memchr(from, ']', (size_t)(end - from));
        if (last == NULL) {
            bp_say(why, "the host in the URL begins with [ and has no ]");
            return false;
        }
        after = last + 1;
    } else {
        last = memchr(from, ':', (size_t)(end - from));
        if (last == NULL) last = end;
        after = last;
    }
    if (first == last) {
        bp_say(why, "the URL names no host");
        return false;
    }
    if (!part(&url->host, first, last, "host", why)) return false;
    if (after == end) return true;
    if (*after != ':') {
        bp_say(why, "a port in the URL stands behind a colon");
        return false;
    }
    return read_port(url, after + 1, end, why);
}

static bool read_authority(bp_url *url, const char *from, const char *end, bp_text *why) {
    /* A password may hold an @ that nobody has escaped; a host never does. */
    const char *at = memrchr(from, '@', (size_t)(end - from));
    if (at == NULL) return read_host(url, from, end, why);
    const char *colon = memchr(from, ':', (size_t)(at - from));
    const char *last = colon == NULL ? at : colon;
    if (last > from && !part(&url->user, from, last, "user", why)) return false;
    if (colon != NULL && !part(&url->password, colon + 1, at, "password", why)) return false;
    return read_host(url, at + 1, end, why);
}

static bool read_rest(bp_url *url, const char *from, const char *end, bp_text *why) {
    const char *query = memchr(from, '?', (size_t)(end - from));
    const char *last = query == NULL ? end : query;
    if (query != NULL && !part(&url->query, query + 1, end, "query", why)) return false;
    return last == from || part(&url->path, from, last, "path", why);
}

static bool read_parts(bp_url *url, const char *text, const char *end, bp_text *why) {
    const char *colon = memchr(text, ':', (size_t)(end - text));
    if (colon == NULL || colon == text || colon + 1 == end || colon[1] != '/') {
        bp_say(why, "this is no URL: it begins with a scheme, as in nats://host or redis://host");
        return false;
    }
    if (!part(&url->scheme, text, colon, "scheme", why)) return false;
    if (colon + 2 >= end || colon[2] != '/') return read_rest(url, colon + 1, end, why);
    const char *authority = colon + 3, *rest = authority;
    /* Where a password holds a slash, the last @ tells. */
    const char *at = memrchr(authority, '@', (size_t)(end - authority));
    if (at != NULL && memchr(authority, '?', (size_t)(at - authority)) == NULL) rest = at + 1;
    while (rest < end && *rest != '/' && *rest != '?') rest++;
    /* scheme:///path has no host. */
    if (rest > authority || rest == end || *rest != '/') {
        if (!read_authority(url, authority, rest, why)) return false;
    }
    return read_rest(url, rest, end, why);
}

bool bp_url_read(bp_url *url, gw_span text, bp_text *why) {
    *url = (bp_url){0};
    if (text.len == 0 || text.len > URL_MAX) {
        bp_say(why, text.len == 0 ? "the URL is empty" : "the URL has more than 4096 octets");
        return false;
    }
    const char *first = (const char *)text.ptr;
    if (read_parts(url, first, first + text.len, why)) return true;
    bp_url_free(url);
    return false;
}

void bp_url_free(bp_url *url) {
    free(url->scheme);
    free(url->user);
    bp_forget(url->password);
    free(url->host);
    free(url->path);
    free(url->query);
    *url = (bp_url){0};
}

void bp_url_address(const bp_url *url, bp_text *address) {
    const char *format = strchr(url->host, ':') == NULL ? "%s:%u" : "[%s]:%u";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    bp_say(address, format, url->host, (unsigned)url->port);
#pragma GCC diagnostic pop
}
