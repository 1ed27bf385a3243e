/* backplane_kit.h - what the backplanes of the house share: URLs, texts for humans, the clock.
 *
 * It is compiled into each of them. Nothing here is seen outside of the module, which exports its entry alone. */
#ifndef BACKPLANE_KIT_H
#define BACKPLANE_KIT_H

/* It stands before every header of the system. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "gw_backplane.h"

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* ---- texts */

/* A text for humans, ended by NUL, cut where there is no more room. */
typedef struct bp_text {
    char bytes[GW_BACKPLANE_TEXT_MAX];
} bp_text;

void bp_say(bp_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What somebody else said, as far as it can be shown: ends at the first end of line, and is cut at 256 octets. */
void bp_quote(bp_text *text, const char *said, size_t length);

/* ---- URLs */

/* scheme://[user[:password]@]host[:port][/path][?query], or scheme:/path[?query] of a socket in the file system. All
 * parts are ended by NUL and without escapes; what is not there is NULL, and `port` 0. */
typedef struct bp_url {
    char    *scheme;
    char    *user;
    char    *password;
    char    *host;
    char    *path;
    char    *query;
    uint16_t port;
} bp_url;

/* False: `why` says what is wrong, without any password, and there is nothing to free. */
bool bp_url_read(bp_url *url, gw_span text, bp_text *why);
void bp_url_free(bp_url *url);

/* host:port, with brackets where the host is an address of IPv6. */
void bp_url_address(const bp_url *url, bp_text *address);

/* A copy that ends with NUL, or NULL if there is no memory, or if it holds one. */
char *bp_copy(gw_span text);

/* ---- time */

/* Milliseconds of a clock that nobody sets. */
int64_t bp_now(void);

/* Milliseconds until then; 0 when it has passed. */
int bp_until(int64_t deadline);

/* Overwrites what was a password, and frees it. */
void bp_forget(char *secret);

#pragma GCC visibility pop

#endif
