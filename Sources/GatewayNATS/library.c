/* libnats starts threads when it is opened, and has settings that are the same for all of its connections. */
#include "nats_module.h"

#include <signal.h>

enum { PATIENCE = 5000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t users;

bool library_enter(bp_text *why) {
    natsStatus status = NATS_OK;
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&mutex);
    if (users == 0) {
        /* Its threads inherit that they hear no signals. */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        status = nats_Open(-1);
        /* One thread for the deliveries of all subscriptions, which so keep their order. */
        if (status == NATS_OK) status = nats_SetMessageDeliveryPoolSize(1);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (status == NATS_OK) users++;
    pthread_mutex_unlock(&mutex);
    if (status != NATS_OK) bp_say(why, "libnats does not begin: %s", natsStatus_GetText(status));
    return status == NATS_OK;
}

void library_leave(void) {
    pthread_mutex_lock(&mutex);
    nats_ReleaseThreadMemory();
    if (--users == 0) (void)nats_CloseAndWait(PATIENCE);
    pthread_mutex_unlock(&mutex);
}
