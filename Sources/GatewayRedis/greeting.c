/* The first words on a connection: who this is, and who answers. They are written together, and answered in order. */
#include "redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum question { AUTH, NAME, INFO, ASKED } question;

/* A line of INFO without its name, or NULL. */
static const char *line_of(const char *info, const char *name, size_t *length) {
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, strlen(name)) != 0) continue;
        line += strlen(name);
        *length = strcspn(line, "\r\n");
        return line;
    }
    return NULL;
}

static void read_software(greeting *hello, const char *info) {
    static const struct { const char *line, *name; } kinds[] = {
        {"valkey_version:", "Valkey"}, {"dragonfly_version:", "Dragonfly"}, {"redis_version:", "Redis"}};
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
        size_t length;
        const char *version = line_of(info, kinds[at].line, &length);
        if (version == NULL) continue;
        bp_text quoted;
        bp_quote(&quoted, version, length < 32 ? length : 32);
        bp_say(&hello->software, "%s %.32s", kinds[at].name, quoted.bytes);
        return;
    }
}

static int32_t read_info(greeting *hello, replies *heard) {
    const element *is = &heard->elements[0];
    if (heard->is_array || is->type != REDIS_REPLY_STRING) {
        bp_say(&hello->said, "the answer to INFO is none");
        return GW_BACKPLANE_E_AWAY;
    }
    char *info = bp_copy((gw_span){heard->bytes + is->at, is->length});
    if (info == NULL) return GW_BACKPLANE_OK; /* not a text; its version stays unknown */
    size_t length;
    const char *mode = line_of(info, "redis_mode:", &length);
    bool is_sentinel = mode != NULL && strncmp(mode, "sentinel", 8) == 0;
    read_software(hello, info);
    free(info);
    if (!is_sentinel) return GW_BACKPLANE_OK;
    bp_say(&hello->said, "this is a Sentinel, which carries no publications; name the Redis that it watches");
    return GW_BACKPLANE_E_REFUSED;
}

static bool begins(const bp_text *text, const char *word) { return strncmp(text->bytes, word, strlen(word)) == 0; }

static int32_t read_error(greeting *hello, replies *heard, question about) {
    static const char *const names[] = {"AUTH", "CLIENT SETNAME", "INFO"};
    bp_text said;
    bp_quote(&said, (const char *)heard->bytes + heard->elements[0].at, heard->elements[0].length);
    bp_say(&hello->said, "%s is refused: %.256s", names[about], said.bytes);
    if (begins(&said, "NOAUTH")) bp_say(&hello->said, "a password is needed: %.256s", said.bytes);
    bool is_fatal = about == AUTH || begins(&said, "NOAUTH") || begins(&said, "DENIED");
    /* Neither a name nor a version is needed to go on, and a user may lack the right to them. */
    return is_fatal ? GW_BACKPLANE_E_REFUSED : GW_BACKPLANE_OK;
}

static int32_t read_answer(greeting *hello, replies *heard, question about) {
    if (!heard->is_array && heard->elements[0].type == REDIS_REPLY_ERROR) return read_error(hello, heard, about);
    if (about == INFO) return read_info(hello, heard);
    if (!heard->is_array && heard->elements[0].type == REDIS_REPLY_STATUS) return GW_BACKPLANE_OK;
    bp_say(&hello->said, "what answers is no Redis: a status was expected");
    return GW_BACKPLANE_E_AWAY;
}

/* Waits for one reply. */
static int32_t await(greeting *hello, int socket, replies *heard) {
    int there;
    while ((there = replies_next(heard)) == 0) {
        ssize_t got = stream_read(socket, hello->buffer, REDIS_FEED, hello->deadline);
        if (got > 0) {
            replies_feed(heard, hello->buffer, (size_t)got);
            continue;
        }
        /* Whom it does not want it says so, and closes. */
        if (hello->said.bytes[0] != 0) return GW_BACKPLANE_E_REFUSED;
        if (got == 0) bp_say(&hello->said, "it closed the connection without an answer");
        else stream_say(&hello->said, "it was reached, and then", (int)-got);
        return GW_BACKPLANE_E_AWAY;
    }
    if (there > 0) return GW_BACKPLANE_OK;
    bp_say(&hello->said, "what answers is no Redis: %.256s", heard->why.bytes);
    return GW_BACKPLANE_E_AWAY;
}

static void write_auth(commands *list, const target *to) {
    const char *password = to->password == NULL ? "" : to->password;
    commands_begin(list, to->user == NULL ? 2 : 3);
    commands_argument(list, "AUTH", 4);
    if (to->user != NULL) commands_argument(list, to->user, strlen(to->user));
    commands_argument(list, password, strlen(password));
}

int32_t greet(greeting *hello, int socket, replies *heard, bool asks_version) {
    const target *to = hello->to;
    commands list = {0};
    bool has_secret = to->user != NULL || to->password != NULL;
    if (has_secret) write_auth(&list, to);
    commands_begin(&list, 3);
    commands_argument(&list, "CLIENT", 6);
    commands_argument(&list, "SETNAME", 7);
    commands_argument(&list, hello->name, strlen(hello->name));
    if (asks_version) {
        commands_begin(&list, 2);
        commands_argument(&list, "INFO", 4);
        commands_argument(&list, "server", 6);
    }
    int error = list.failed ? ENOMEM : stream_write(socket, list.bytes, list.used, hello->deadline);
    if (list.bytes != NULL) explicit_bzero(list.bytes, list.used);
    commands_free(&list);
    hello->said.bytes[0] = 0;
    /* A pipe that broke may still hold why. */
    if (error != 0 && error != EPIPE && error != ECONNRESET) {
        stream_say(&hello->said, "it was reached, and then", error);
        return GW_BACKPLANE_E_AWAY;
    }
    int32_t found = GW_BACKPLANE_OK;
    for (question about = has_secret ? AUTH : NAME; about < (asks_version ? ASKED : INFO); about++) {
        found = await(hello, socket, heard);
        if (found == GW_BACKPLANE_OK) found = read_answer(hello, heard, about);
        replies_forget(heard);
        if (found != GW_BACKPLANE_OK) break;
    }
    return found;
}
