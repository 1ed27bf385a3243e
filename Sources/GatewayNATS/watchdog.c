/* libnats 3.4 waits for the last answer of the handshake without any deadline, and shows nobody its socket before it has
 * come. So the socket is looked for when the time is up, among those to this address that were not there before, and shut
 * down, which brings libnats back. Another one to the same engine that is opened in just that time goes with it, and is
 * opened again by whoever misses it. Can go when the deadline of natsOptions_SetTimeout() spans the handshake. */
#include "nats_module.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static bool is_same(const struct sockaddr *one, const struct sockaddr *other) {
    if (one->sa_family != other->sa_family) return false;
    if (one->sa_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)one, *b = (const void *)other;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const void *)one, *b = (const void *)other;
    return a->sin6_port == b->sin6_port && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

/* Whether a descriptor is a socket whose other end is the engine. */
static bool leads_there(const watchdog *dog, int descriptor) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &length) != 0) return false;
    if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return false;
    for (const struct addrinfo *each = dog->addresses; each != NULL; each = each->ai_next) {
        if (is_same((const struct sockaddr *)&peer, each->ai_addr)) return true;
    }
    return false;
}

static bool was_there(const watchdog *dog, int descriptor) {
    for (size_t at = 0; at < dog->known; at++) {
        if (dog->before[at] == descriptor) return true;
    }
    return false;
}

/* Notes the sockets to the engine, or shuts down those that are not noted. */
static void look(watchdog *dog, bool is_over) {
    DIR *all = opendir("/proc/self/fd");
    if (all == NULL) return;
    for (const struct dirent *each; (each = readdir(all)) != NULL;) {
        int descriptor = atoi(each->d_name);
        if (each->d_name[0] == '.' || descriptor == dirfd(all) || !leads_there(dog, descriptor)) continue;
        if (!is_over && dog->known < WATCHDOG_KNOWN) dog->before[dog->known++] = descriptor;
        if (is_over && !was_there(dog, descriptor)) shutdown(descriptor, SHUT_RDWR);
    }
    closedir(all);
}

static void *watch(void *argument) {
    watchdog *dog = argument;
    struct timespec until = {.tv_sec = dog->deadline / 1000, .tv_nsec = dog->deadline % 1000 * 1000000};
    pthread_mutex_lock(&dog->mutex);
    while (!dog->is_over) {
        if (pthread_cond_timedwait(&dog->changed, &dog->mutex, &until) != ETIMEDOUT) continue;
        /* A seed that has several addresses is tried at the next one, so it is looked at once more. */
        dog->has_bitten = true;
        look(dog, true);
        int64_t next = bp_now() + 20;
        until = (struct timespec){.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000};
    }
    pthread_mutex_unlock(&dog->mutex);
    return NULL;
}

bool watchdog_start(watchdog *dog, const bp_url *seed, int64_t milliseconds) {
    char port[8];
    pthread_condattr_t monotonic;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", (unsigned)seed->port);
    *dog = (watchdog){.mutex = PTHREAD_MUTEX_INITIALIZER};
    /* libnats finds the same, and says it better. */
    if (getaddrinfo(seed->host, port, &hints, &dog->addresses) != 0) dog->addresses = NULL;
    dog->deadline = bp_now() + milliseconds;
    look(dog, false);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&dog->thread, NULL, watch, dog) == 0) return true;
    freeaddrinfo(dog->addresses);
    return false;
}

bool watchdog_end(watchdog *dog) {
    pthread_mutex_lock(&dog->mutex);
    dog->is_over = true;
    pthread_cond_signal(&dog->changed);
    pthread_mutex_unlock(&dog->mutex);
    pthread_join(dog->thread, NULL);
    pthread_cond_destroy(&dog->changed);
    pthread_mutex_destroy(&dog->mutex);
    if (dog->addresses != NULL) freeaddrinfo(dog->addresses);
    return dog->has_bitten;
}
