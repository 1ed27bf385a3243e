/* Does everything a handler may ask the gateway for, at the word of its clients and all at once. A command is its first
 * byte; numbers are of 32 bits, little-endian:
 *
 *   E payload                       back as E, the number of E so far (64 bits), payload
 *   J stream count most how         count messages J stream number pattern, and at their end D stream count
 *   T token after every times       T token number, each time it is due
 *   C token                         cancels it; back as C token status
 *   K number                        starts and cancels so many timers that are due in ten minutes
 *   S name, U name                  subscribes, unsubscribes; back as s name, u name
 *   P except topic-length topic payload   publishes P payload; back as p and how many it goes to
 *   X code number by-thread         so many x number 0, and then a Close with the code, or none for code 0
 *   B doom                          the connection is dropped within the next restore_conn (1) or drop_conn (2)
 */
#include <sys/prctl.h>

#include "job.h"

struct office {
    struct instance head;
    pthread_t threads[4];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, **last;
    int is_closed;
};

/* ---- threads */

static void *run(void *argument) {
    struct office *office = argument;
    prctl(PR_SET_NAME, "soak-job");  /* the driver counts them */
    for (;;) {
        pthread_mutex_lock(&office->lock);
        while (office->first == NULL && !office->is_closed) pthread_cond_wait(&office->changed, &office->lock);
        struct job *job = office->first;
        if (job != NULL && (office->first = job->next) == NULL) office->last = &office->first;
        pthread_mutex_unlock(&office->lock);
        if (job == NULL) return NULL;
        int must_say = job_run(job) && job->how == HOW_THEN_POST;
        /* The bytes are those of the end message, for the callback to send. */
        uint8_t end[9];
        size_t length = job_end_message(end, job);
        gw_conn connection = job->guest->head.connection;
        if (must_say) checked(connection, host->post(host, office->head.id, connection, 'D', end, length), "post");
        job_free(job);
    }
}

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    struct office *office = allocated(sizeof *office);
    office->last = &office->first;
    pthread_mutex_init(&office->lock, NULL);
    pthread_cond_init(&office->changed, NULL);
    pattern_make();
    instance_begin(&office->head, config);
    for (int i = 0; i < 4; i++)
        if (pthread_create(&office->threads[i], NULL, run, office) != 0) abort();
    *self = office;
    return GW_OK;
}

static void stop(void *self) {
    struct office *office = self;
    pthread_mutex_lock(&office->lock);
    office->is_closed = 1;
    pthread_cond_broadcast(&office->changed);
    pthread_mutex_unlock(&office->lock);
    for (int i = 0; i < 4; i++) pthread_join(office->threads[i], NULL);
    instance_end(&office->head);
    pthread_mutex_destroy(&office->lock);
    pthread_cond_destroy(&office->changed);
    free(office);
}

/* ---- commands */

static uint32_t number_at(const gw_message *m, size_t index) {
    uint32_t number = 0;
    size_t at = 1 + 4 * index;
    if (at + 4 <= m->data.len) memcpy(&number, m->data.ptr + at, 4);
    return number;
}

static void answer(struct guest *guest, uint32_t kind, const uint8_t *bytes, size_t length) {
    gw_conn connection = guest->head.connection;
    checked(connection, host->send(host, connection, kind, 0, bytes, length), "send");
}

static void answer_numbers(struct guest *guest, uint8_t what, uint32_t one, uint32_t other) {
    uint8_t bytes[9] = {what};
    memcpy(bytes + 1, &one, 4);
    memcpy(bytes + 5, &other, 4);
    answer(guest, GW_BINARY, bytes, sizeof bytes);
}

static void echo(struct guest *guest, const gw_message *m) {
    uint8_t *bytes = allocated(m->data.len + 8);
    guest->count++;
    bytes[0] = 'E';
    memcpy(bytes + 1, &guest->count, 8);
    memcpy(bytes + 9, m->data.ptr + 1, m->data.len - 1);
    answer(guest, GW_BINARY, bytes, m->data.len + 8);
    free(bytes);
}

static void begin_job(struct office *office, struct guest *guest, const gw_message *m, uint32_t how) {
    struct job *job = job_make(guest, number_at(m, 0), number_at(m, 1), number_at(m, 2), how);
    if (how == HOW_CALLBACK) {
        struct job **place = &guest->pumped;
        while (*place != NULL) place = &(*place)->next;
        *place = job;
        if (guest->pumped == job) pump(guest);
        return;
    }
    atomic_fetch_add(&guest->references, 1);
    atomic_fetch_add(&guest->jobs, 1);
    if (how == HOW_POOL) {
        gw_status status = host->offload(host, office->head.id, guest->head.connection, 'J', job);
        if (checked(guest->head.connection, status, "offload") < 0) job_free(job);
        return;
    }
    pthread_mutex_lock(&office->lock);
    *office->last = job;
    office->last = &job->next;
    pthread_cond_signal(&office->changed);
    pthread_mutex_unlock(&office->lock);
}

static struct timer *timer_of(struct guest *guest, uint32_t token) {
    for (int i = 0; i < TIMERS; i++)
        if (guest->timers[i].token == token) return &guest->timers[i];
    return NULL;
}

static void start_timer(struct office *office, struct guest *guest, const gw_message *m) {
    struct timer *timer = timer_of(guest, 0);
    if (timer == NULL) return wrong(guest->head.connection, "busy: the driver asked for too many timers");
    *timer = (struct timer){number_at(m, 0), number_at(m, 2), number_at(m, 3), 0, 0};
    timer->id = host->timer_start(host, office->head.id, guest->head.connection, timer->token, number_at(m, 1),
                                  timer->every);
    if (timer->id == 0) timer->token = 0;  /* the connection is closing */
}

static void cancel_timer(struct guest *guest, uint32_t token) {
    struct timer *timer = timer_of(guest, token);
    gw_status status = timer == NULL ? GW_E_NOTFOUND : host->timer_cancel(host, timer->id);
    if (status == GW_OK) timer->token = 0;
    answer_numbers(guest, 'C', token, (uint32_t)status);
}

/* A timer that counts can be cancelled, unless its connection has ended meanwhile. */
static void must_cancel(struct guest *guest, gw_timer timer) {
    gw_conn connection = guest->head.connection;
    gw_conn_info info = {.struct_size = sizeof info};
    gw_status status = host->timer_cancel(host, timer);
    if (status == GW_E_NOTFOUND && host->conn_info(host, connection, &info) == GW_E_CLOSED) return;
    checked(connection, status, "timer_cancel");
}

static void churn_timers(struct office *office, struct guest *guest, uint32_t number) {
    for (uint32_t i = 0; i < number; i++) {
        gw_timer timer = host->timer_start(host, office->head.id, guest->head.connection, 'K', 600000, 0);
        if (timer != 0) must_cancel(guest, timer);
    }
}

static void change_topic(struct guest *guest, const gw_message *m, int joins) {
    gw_conn connection = guest->head.connection;
    const char *name = (const char *)m->data.ptr + 1;
    gw_status status = joins ? host->subscribe(host, connection, 0, name, m->data.len - 1)
                             : host->unsubscribe(host, connection, 0, name, m->data.len - 1);
    if (checked(connection, status, joins ? "subscribe" : "unsubscribe") < 0) return;
    uint8_t bytes[256];
    memcpy(bytes, m->data.ptr, m->data.len);
    bytes[0] = joins ? 's' : 'u';
    answer(guest, GW_BINARY, bytes, m->data.len);
}

static void publish(struct office *office, struct guest *guest, const gw_message *m) {
    gw_conn connection = guest->head.connection;
    uint32_t except = number_at(m, 0), name = number_at(m, 1), reached = 0;
    uint8_t *payload = allocated(m->data.len);
    size_t length = m->data.len - 9 - name;
    payload[0] = 'P';
    memcpy(payload + 1, m->data.ptr + 9 + name, length);
    gw_status status = host->publish(host, office->head.id, (const char *)m->data.ptr + 9, name, GW_BINARY, 0, payload,
                                     length + 1, except ? connection : 0, &reached);
    free(payload);
    checked(connection, status, "publish");
    answer_numbers(guest, 'p', reached, 0);
}

/* ---- callbacks */

static void open_client(void *self, gw_conn connection, void *state, const gw_request *request) {
    struct guest *guest = guest_make();
    client_begin(self, &guest->head, connection, 0);
    if (host->conn_set_state(host, connection, guest) < 0) wrong(connection, "conn_set_state in open");
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    struct guest *guest = client_enter(self, connection, state, "message");
    if (guest == NULL) return;
    switch (m->data.len == 0 ? 0 : m->data.ptr[0]) {
    case 'E': echo(guest, m); break;
    case 'J': begin_job(self, guest, m, number_at(m, 3) % HOW_LEAVE); break;
    case 'T': start_timer(self, guest, m); break;
    case 'C': cancel_timer(guest, number_at(m, 0)); break;
    case 'K': churn_timers(self, guest, number_at(m, 0)); break;
    case 'S': change_topic(guest, m, 1); break;
    case 'U': change_topic(guest, m, 0); break;
    case 'P': publish(self, guest, m); break;
    case 'X':
        if (number_at(m, 2)) begin_job(self, guest, m, HOW_LEAVE);
        else leave(guest, number_at(m, 0), number_at(m, 1));
        break;
    case 'B': guest->doom = number_at(m, 0); break;
    default: wrong(connection, "busy: no command begins with %u", m->data.len == 0 ? 0 : m->data.ptr[0]);
    }
    client_leave(guest);
}

static void drained(void *self, gw_conn connection, void *state) {
    struct guest *guest = client_enter(self, connection, state, "drained");
    if (guest == NULL) return;
    guest_note(guest, 0);
    pump(guest);
    client_leave(guest);
}

static void timer_is_due(struct guest *guest, const gw_event *event) {
    gw_conn connection = guest->head.connection;
    struct timer *timer = timer_of(guest, (uint32_t)event->token);
    if (timer == NULL) return wrong(connection, "busy: timer %u is due, and was cancelled", (uint32_t)event->token);
    if (timer->id != event->timer) wrong(connection, "busy: timer %u has another name than it had", timer->token);
    answer_numbers(guest, 'T', timer->token, ++timer->fired);
    if (timer->fired < timer->times) return;
    /* Within its event one that repeats can always be cancelled. */
    if (timer->every != 0) must_cancel(guest, timer->id);
    timer->token = 0;
}

static void work_is_done(struct job *job, int is_here) {
    uint8_t end[9];
    size_t length = job_end_message(end, job);
    if (is_here && job->done == job->count) answer(job->guest, GW_BINARY, end, length);
    job_free(job);
}

static void event(void *self, gw_conn connection, void *state, const gw_event *event) {
    if (connection == 0) {
        if (event->kind == GW_EV_WORK_DONE) work_is_done(event->ptr, 0);
        return;
    }
    struct guest *guest = client_enter(self, connection, state, "event");
    if (guest == NULL) return;
    if (event->kind == GW_EV_TIMER) timer_is_due(guest, event);
    if (event->kind == GW_EV_POST) answer(guest, GW_BINARY, event->data.ptr, event->data.len);
    if (event->kind == GW_EV_WORK_DONE) work_is_done(event->ptr, 1);
    client_leave(guest);
}

static gw_status work(void *self, gw_conn connection, uint64_t token, void *job) {
    job_run(job);
    return GW_OK;
}

static void close_client(void *self, gw_conn connection, void *state, const gw_close *info) {
    struct guest *guest = client_end(self, connection, state, 0);
    if (guest == NULL) return;
    guest_note(guest, 1);
    guest_release(guest);
}

/* ---- reload */

static gw_status save_conn(void *self, gw_conn connection, void *state, gw_sink *sink) {
    struct guest *guest = client_enter(self, connection, state, "save_conn");
    if (guest == NULL) return GW_E_STATE;
    /* Threads and callbacks that send would wait for drained() in vain: it goes to the newer generation. */
    gw_status status = guest->jobs > 0 || guest->pumped != NULL ? GW_E_STATE : GW_OK;
    if (status >= 0) status = host->sink_write(host, sink, &guest->count, sizeof guest->count);
    if (status >= 0) status = host->sink_write(host, sink, &guest->doom, sizeof guest->doom);
    if (status >= 0) status = host->sink_write(host, sink, guest->timers, sizeof guest->timers);
    client_leave(guest);
    return status;
}

static gw_status restore_conn(void *self, gw_conn connection, const gw_request *request, const gw_saved *saved,
                              void **state) {
    struct guest *guest = guest_make();
    if (saved->data.len != sizeof guest->count + sizeof guest->doom + sizeof guest->timers)
        wrong(connection, "busy: %zu bytes of saved state", saved->data.len);
#ifdef REFUSES
    if (connection % 3 == 0) {
        guest_release(guest);
        return GW_E_UNSUPPORTED;
    }
#endif
    memcpy(&guest->count, saved->data.ptr, sizeof guest->count);
    memcpy(&guest->doom, saved->data.ptr + sizeof guest->count, sizeof guest->doom);
    memcpy(guest->timers, saved->data.ptr + sizeof guest->count + sizeof guest->doom, sizeof guest->timers);
    client_begin(self, &guest->head, connection, 1);
    *state = guest;
    if (guest->doom == DIES_RESTORED) checked(connection, host->abort(host, connection), "abort");
    return GW_OK;
}

static void drop_conn(void *self, gw_conn connection, void *state) {
    struct guest *guest = client_end(self, connection, state, 1);
    if (guest == NULL) return;
    if (guest->doom == DIES_DROPPED) checked(connection, host->abort(host, connection), "abort");
    guest_release(guest);
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000, .flags = GW_HF_UNLOAD,
    .name = "busy", .version = BUILD, .state_format = 0x62757379, .state_version = 1,
    .start = start, .stop = stop, .open = open_client, .message = message, .drained = drained, .close = close_client,
    .event = event, .work = work, .save_conn = save_conn, .restore_conn = restore_conn, .drop_conn = drop_conn,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    soak_name = "busy";
    return &table;
}
