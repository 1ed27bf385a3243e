/* What the handlers of these tests share: the host, the instance, and a table with the usual head. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

static const gw_host *host;
static gw_instance instance;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    instance = config->instance;
    return GW_OK;
}

/* Answers with a number. */
static inline void say(gw_conn connection, long long number) {
    char text[32];
    int length = snprintf(text, sizeof text, "%lld", number);
    host->send(host, connection, GW_TEXT, 0, text, (size_t)length);
}

/* A line that tests find in the error log. */
static inline void tell(const char *what, long long number) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s %lld", what, number);
    host->log(host, 0, GW_LOG_INFO, text, (size_t)length);
}

static inline int begins(const gw_message *message, const char *word) {
    size_t length = strlen(word);
    return message->data.len >= length && memcmp(message->data.ptr, word, length) == 0;
}

#define TABLE(NAME, ...)                                                                               \
    static const gw_handler table = {.struct_size = sizeof table, .abi_version = GW_ABI_VERSION,       \
        .min_host_abi = 0x10000, .name = NAME, .version = "1", .start = start, __VA_ARGS__};           \
    const gw_handler *gw_handler_entry_v1(const gw_host *h) {                                          \
        host = h;                                                                                      \
        return &table;                                                                                 \
    }
