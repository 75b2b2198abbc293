/* A worker: one thread, one event loop, its connections, and the mailbox through which others reach it. */
#include "metrics/events.h"
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#define FAREWELL_NS                                                                                          \
    150000000ull /* how long a stopping worker waits for clients to take their last replies                  \
                  */

/* ---- the mailbox: any thread ---- */

static void ring(const struct worker *worker)
{
    uint64_t one = 1;
    ssize_t ignored = write(worker->wake_fd, &one, sizeof one);
    (void)ignored; /* a full eventfd wakes as well */
}

void worker_give_connection(struct worker *worker, struct connection *connection)
{
    lock_acquire(&worker->mailbox);
    connection->posted = worker->new_first;
    worker->new_first = connection;
    lock_release(&worker->mailbox);
    ring(worker);
}

bool worker_give_order(struct worker *worker, uint64_t id, uint32_t slot,
                       void (*carry_out)(struct connection *connection))
{
    struct order *order = malloc(sizeof *order);
    if (!order)
        return false;
    lock_acquire(&worker->mailbox);
    *order = (struct order){.next = worker->order_first, .carry_out = carry_out, .id = id, .slot = slot};
    worker->order_first = order;
    lock_release(&worker->mailbox);
    ring(worker);
    return true;
}

void worker_give_idle_check(struct worker *worker)
{
    lock_acquire(&worker->mailbox);
    worker->idle_check = true;
    lock_release(&worker->mailbox);
    ring(worker);
}

void worker_stop(struct worker *worker)
{
    lock_acquire(&worker->mailbox);
    worker->stop_order = true;
    lock_release(&worker->mailbox);
    ring(worker);
}

/* ---- the mailbox: its worker ---- */

static void open_new(struct worker *worker, struct connection *connection)
{
    while (connection) {
        struct connection *next = connection->posted;
        TAILQ_INSERT_TAIL(&worker->all, connection, all);
        atomic_fetch_add_explicit(&worker->connection_count, 1, memory_order_relaxed);
        if (!connection_open(connection) || worker->stopping)
            connection_close(connection);
        connection = next;
    }
}

/* The slot may have changed hands, even of worker, since the order was given: its id tells. */
static void carry_out(struct worker *worker, struct order *order)
{
    while (order) {
        struct order *next = order->next;
        struct connection *connection = &worker->net->table.slots[order->slot];
        if (atomic_load_explicit(&connection->seen.id, memory_order_acquire) == order->id)
            order->carry_out(connection);
        free(order);
        order = next;
    }
}

static void close_idle(struct worker *worker)
{
    uint64_t timeout_s = settings_u64(worker->net->settings, idle_timeout);
    uint32_t now = clock_s();
    struct connection *connection = TAILQ_FIRST(&worker->all);
    while (connection && timeout_s > 0) {
        struct connection *next = TAILQ_NEXT(connection, all);
        uint32_t active_s = atomic_load_explicit(&connection->seen.active_s, memory_order_relaxed);
        if (now - active_s > timeout_s && !session_watches(&connection->session)) {
            metrics_add(worker->block, METRIC_idle_kicks, 1);
            connection->session.reason = REASON_IDLE;
            connection_close(connection);
        }
        connection = next;
    }
}

/* For a handshake that takes too long. */
static void close_late(struct connection *connection)
{
    worker_awaken(connection->worker);
    connection_close(connection);
}

static void on_mail(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored, (void)what;
    lock_acquire(&worker->mailbox);
    struct connection *new_first = worker->new_first;
    struct order *order_first = worker->order_first;
    bool idle_check = worker->idle_check;
    worker->stopping = worker->stop_order;
    worker->new_first = NULL;
    worker->order_first = NULL;
    worker->idle_check = false;
    lock_release(&worker->mailbox);
    worker_awaken(worker);
    open_new(worker, new_first);
    carry_out(worker, order_first);
    if (idle_check)
        close_idle(worker);
}

/* ---- turns ---- */

void worker_awaken(struct worker *worker)
{
    if (worker->awake)
        return;
    store_thread_online(worker->store);
    worker->awake = true;
    worker->awake_ns = worker->turn_begin_ns = clock_ns();
}

void worker_turn_end(struct worker *worker)
{
    if (!METRICS_ON)
        return;
    uint64_t now = clock_ns();
    uint64_t requests = metrics_turn_end(worker->block, now - worker->turn_begin_ns);
    worker->turn_begin_ns = now;
    metrics_bump(&worker->requests, requests);
}

static void fall_asleep(struct worker *worker)
{
    if (!worker->awake)
        return;
    store_thread_offline(worker->store);
    worker->awake = false;
    metrics_bump(&worker->busy_ns, worker->turn_begin_ns - worker->awake_ns);
}

/* Those that used up -R get another turn each, after all others had theirs; one that an event has served in
 * this pass already waits for the next. */
static void serve_again(struct worker *worker)
{
    struct connection *last = TAILQ_LAST(&worker->again, connection_list), *connection;
    for (bool more = last != NULL; more && (connection = TAILQ_FIRST(&worker->again)) != NULL;) {
        more = connection != last;
        TAILQ_REMOVE(&worker->again, connection, again);
        TAILQ_INSERT_TAIL(&worker->again, connection, again);
        if (connection->pass != worker->pass)
            connection_again(connection);
    }
}

static void pass(struct worker *worker)
{
    worker->pass++;
    int flags = EVLOOP_ONCE | (TAILQ_EMPTY(&worker->again) ? 0 : EVLOOP_NONBLOCK);
    event_base_loop(worker->base, flags);
    group_serve(worker);
    serve_again(worker);
    fall_asleep(worker);
}

/* Replies under way are finished, if their clients read them; then every connection is closed. */
static void wind_up(struct worker *worker)
{
    const struct timeval step = {.tv_usec = 10000};
    uint64_t end_ns = clock_ns() + FAREWELL_NS;
    struct connection *connection = TAILQ_FIRST(&worker->all);
    udp_stop(worker);
    while (connection) {
        struct connection *next = TAILQ_NEXT(connection, all);
        connection_stop(connection);
        connection = next;
    }
    while (!TAILQ_EMPTY(&worker->all) && clock_ns() < end_ns) {
        event_base_loopexit(worker->base, &step);
        pass(worker);
    }
    while (!TAILQ_EMPTY(&worker->all))
        connection_close(TAILQ_FIRST(&worker->all));
}

/* ---- the thread ---- */

static void *run(void *context)
{
    struct worker *worker = context;
    worker->store = store_thread_create(worker->net->store, worker->block);
    worker->protocol =
        worker->store ? protocol_thread_create(worker->net->protocol, worker->store, worker->block) : NULL;
    if (!worker->protocol) {
        log_error("no memory for worker %u", worker->index);
        exit(EX_OSERR);
    }
    while (!worker->stopping)
        pass(worker);
    wind_up(worker);
    protocol_thread_destroy(worker->protocol);
    store_thread_destroy(worker->store);
    return NULL;
}

static bool set_up_tls(struct worker *worker)
{
    struct settings *settings = worker->net->settings;
    handshakes_init(&worker->handshakes, worker->base, settings_u64(settings, ssl_handshake_timeout),
                    close_late);
    if (!worker->net->tls)
        return true;
    worker->gather = malloc(settings_u64(settings, ssl_wbuf_size) << 10);
    return worker->gather != NULL;
}

static bool set_up(struct worker *worker)
{
    struct event_config *config = event_config_new();
    if (!config)
        return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* nobody else touches it */
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->block = metrics_block_create(worker->net->metrics);
    worker->input = malloc(GROUP_INPUT_SIZE);
    worker->replies = malloc(GROUP_OUTPUT_SIZE);
    worker->output = output_over(worker->replies);
    for (unsigned i = 0; i < GROUP_MAX; i++)
        worker->group.members[i].output = worker->output;
    return worker->base && worker->wake_fd >= 0 && worker->block && worker->input && worker->replies &&
           set_up_tls(worker) && udp_open(worker);
}

static bool launch(struct worker *worker)
{
    char name[16];
    bool good = pthread_create(&worker->thread, NULL, run, worker) == 0;
    snprintf(name, sizeof name, "worker-%u", worker->index);
    if (good)
        pthread_setname_np(worker->thread, name);
    return good;
}

bool worker_start(struct worker *worker)
{
    TAILQ_INIT(&worker->all);
    TAILQ_INIT(&worker->again);
    lock_init(&worker->mailbox, LOCK_NET_MAILBOX);
    pool_init(&worker->input_pool, INPUT_SIZE);
    pool_init(&worker->output_pool, OUTPUT_SIZE);
    if (!set_up(worker))
        return false;
    event_assign(&worker->wake_event, worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_mail, worker);
    event_add(&worker->wake_event, NULL);
    return launch(worker);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    udp_close(worker);
    event_del(&worker->wake_event);
    handshakes_fini(&worker->handshakes);
    free(worker->gather);
    event_base_free(worker->base);
    close(worker->wake_fd);
    free(worker->input);
    free(worker->replies);
    pool_fini(&worker->input_pool);
    pool_fini(&worker->output_pool);
    lock_fini(&worker->mailbox);
}
