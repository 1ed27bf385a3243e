/* Answers what it is asked of the process it runs in. "env NAME": a variable of the environment, or "-". "child": starts
 * one, waits for it and tells how it exited. "orphan": starts one whose own child is left to whoever takes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gw_handler.h"

static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h, (void)config, (void)self;
    return GW_OK;
}

static int child(void) {
    int status = 0;
    pid_t process = fork();
    if (process == 0) _exit(7);
    return process > 0 && waitpid(process, &status, 0) == process && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int orphan(void) {
    pid_t process = fork();
    if (process == 0) {
        pid_t left = fork();
        _exit(left < 0 ? 1 : 0);
    }
    return process > 0 && waitpid(process, NULL, 0) == process ? 0 : -1;
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    char question[256], answer[256];
    (void)self, (void)state;
    snprintf(question, sizeof question, "%.*s", (int)m->data.len, (const char *)m->data.ptr);
    if (strncmp(question, "env ", 4) == 0) {
        const char *value = getenv(question + 4);
        snprintf(answer, sizeof answer, "%s", value != NULL ? value : "-");
    } else {
        snprintf(answer, sizeof answer, "%d", strcmp(question, "child") == 0 ? child() : orphan());
    }
    host->send(host, connection, GW_TEXT, 0, answer, strlen(answer));
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "process", .version = "1.0", .flags = GW_HF_STATELESS, .start = start, .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
