/* The watching thread: takes events out of their rings, writes each line once and offers it to the watchers.
 */
#include "protocol/task_priv.h"
#include "protocol/watch_buffer_priv.h"
#include "protocol/watch_priv.h"

#include "base/clock.h"
#include "base/lock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long the thread sleeps between two looks at the rings: the less the more there was. */
#define PAUSE_MIN_NS 1000000u
#define PAUSE_MAX_NS 16000000u

struct watcher {
    struct task task; /* what its session holds */
    struct watchers *watchers;
    struct watcher *next;
    struct watch_buffer buffer;
    struct session_client client;
    uint32_t streams;
    uint64_t since_us;  /* nothing older is for it */
    _Atomic bool over;  /* it could not be begun: once the buffer is out the session goes on */
    _Atomic bool ended; /* the session has gone */
};

struct watchers {
    struct protocol *protocol; /* borrowed */
    struct lock lock;
    struct watcher *added;  /* guarded by lock, as the next two; owned, by and by taken over by the thread */
    bool started, stopping; /* the thread */
    pthread_t thread;
    sem_t call; /* somebody was added, or the end has come */
    /* Relaxed: figures. */
    _Atomic unsigned count;
    _Atomic uint64_t sent, skipped;
    /* The thread's own. */
    struct watcher *first; /* owned */
    uint64_t gid;
    uint32_t streams; /* wanted by any of them */
};

/* ---- the session's side ---- */

static enum task_next watcher_go_on(struct task *task, struct task_turn *turn)
{
    struct watcher *watcher = (struct watcher *)task;
    struct output *output = turn->output;
    turn->at = turn->end; /* a watcher has nothing more to say */
    /* Acquire pairs with the release in greet: the buffer holds why. */
    bool over = atomic_load_explicit(&watcher->over, memory_order_acquire);
    size_t size = watch_buffer_take(&watcher->buffer, output->data + output->size, output_room(output));
    output->size += size;
    if (size > 0)
        return TASK_WRITE;
    return over ? TASK_DONE : TASK_WAIT;
}

static void watcher_end(struct task *task)
{
    struct watcher *watcher = (struct watcher *)task;
    atomic_fetch_sub_explicit(&watcher->watchers->count, 1, memory_order_relaxed);
    /* Release, and last: from here on it is the thread's to free. Partner: drop_ended. */
    atomic_store_explicit(&watcher->ended, true, memory_order_release);
}

/* ---- the thread's side ---- */

static void call(struct watchers *watchers, struct watcher *watcher)
{
    const struct protocol_host *host = &watchers->protocol->host;
    if (!watch_buffer_call(&watcher->buffer))
        return;
    if (host->wake == NULL || !host->wake(host->context, &watcher->client))
        atomic_store_explicit(&watcher->buffer.is_called, false, memory_order_relaxed); /* next time */
}

/* Wants what all of them want. */
static bool select_streams(struct watchers *watchers)
{
    struct protocol *protocol = watchers->protocol;
    uint32_t streams = 0;
    for (struct watcher *watcher = watchers->first; watcher != NULL; watcher = watcher->next)
        streams |= watcher->streams;
    if (streams == watchers->streams)
        return true;
    size_t ring_size = settings_u64(protocol->settings, worker_logbuf_size) << 10;
    if (!events_select(protocol->metrics, streams, ring_size))
        return false;
    watchers->streams = streams;
    return true;
}

/* Tells a new watcher that it will miss nothing from here on, or that it cannot be. */
static void greet(struct watchers *watchers, struct watcher *watcher)
{
    static const char ok[] = "OK\r\n", failed[] = "WATCHER_FAILED failed to add log watcher\r\n";
    watcher->next = watchers->first;
    watchers->first = watcher;
    watcher->since_us = clock_wall_us();
    if (select_streams(watchers)) {
        watch_buffer_offer(&watcher->buffer, ok, sizeof ok - 1);
    } else {
        watcher->streams = 0;
        watch_buffer_offer(&watcher->buffer, failed, sizeof failed - 1);
        atomic_store_explicit(&watcher->over, true, memory_order_release);
    }
    call(watchers, watcher);
}

static void adopt_added(struct watchers *watchers)
{
    lock_acquire(&watchers->lock);
    struct watcher *added = watchers->added;
    watchers->added = NULL;
    lock_release(&watchers->lock);
    while (added != NULL) {
        struct watcher *next = added->next;
        greet(watchers, added);
        added = next;
    }
}

static void watcher_destroy(struct watcher *watcher)
{
    watch_buffer_fini(&watcher->buffer);
    free(watcher);
}

static void drop_ended(struct watchers *watchers)
{
    for (struct watcher **link = &watchers->first; *link != NULL;) {
        struct watcher *watcher = *link;
        if (!atomic_load_explicit(&watcher->ended, memory_order_acquire)) {
            link = &watcher->next;
            continue;
        }
        *link = watcher->next;
        watcher_destroy(watcher);
    }
    select_streams(watchers);
}

static void count(_Atomic uint64_t *cell)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void tell(void *context, const struct live_event *event)
{
    struct watchers *watchers = context;
    char line[WATCH_LINE_MAX];
    size_t size = 0;
    uint64_t gid = ++watchers->gid;
    for (struct watcher *watcher = watchers->first; watcher != NULL; watcher = watcher->next) {
        if (!(watcher->streams >> watch_stream(event) & 1) || event->time_us < watcher->since_us)
            continue;
        if (size == 0)
            size = watch_line(event, gid, line);
        bool taken = watch_buffer_offer(&watcher->buffer, line, size);
        count(taken ? &watchers->sent : &watchers->skipped);
    }
}

static bool is_stopping(struct watchers *watchers)
{
    lock_acquire(&watchers->lock);
    bool stopping = watchers->stopping;
    lock_release(&watchers->lock);
    return stopping;
}

static void rest(struct watchers *watchers, long pause_ns)
{
    const struct timespec pause = {.tv_nsec = pause_ns};
    if (watchers->first != NULL)
        nanosleep(&pause, NULL);
    else
        sem_wait(&watchers->call);
}

static void *run(void *context)
{
    struct watchers *watchers = context;
    long pause_ns = PAUSE_MIN_NS;
    while (!is_stopping(watchers)) {
        adopt_added(watchers);
        size_t taken = events_take(watchers->protocol->metrics, tell, watchers);
        for (struct watcher *watcher = watchers->first; watcher != NULL; watcher = watcher->next)
            call(watchers, watcher);
        drop_ended(watchers);
        pause_ns = taken > 0 ? PAUSE_MIN_NS : pause_ns < PAUSE_MAX_NS ? 2 * pause_ns : PAUSE_MAX_NS;
        rest(watchers, pause_ns);
    }
    return NULL;
}

/* ---- beginning and end ---- */

struct watchers *watchers_create(struct protocol *protocol)
{
    struct watchers *watchers = calloc(1, sizeof *watchers);
    if (watchers == NULL)
        return NULL;
    watchers->protocol = protocol;
    lock_init(&watchers->lock, LOCK_PROTOCOL_WATCHERS);
    sem_init(&watchers->call, 0, 0);
    return watchers;
}

void watchers_stop(struct watchers *watchers)
{
    lock_acquire(&watchers->lock);
    bool started = watchers->started;
    watchers->stopping = true;
    watchers->started = false;
    lock_release(&watchers->lock);
    if (!started)
        return;
    sem_post(&watchers->call);
    pthread_join(watchers->thread, NULL);
    events_select(watchers->protocol->metrics, 0, 0);
}

static void destroy_all(struct watcher *watcher)
{
    while (watcher != NULL) {
        struct watcher *next = watcher->next;
        watcher_destroy(watcher);
        watcher = next;
    }
}

void watchers_destroy(struct watchers *watchers)
{
    if (watchers == NULL)
        return;
    watchers_stop(watchers);
    destroy_all(watchers->first);
    destroy_all(watchers->added);
    sem_destroy(&watchers->call);
    lock_fini(&watchers->lock);
    free(watchers);
}

static bool start(struct watchers *watchers)
{
    if (watchers->started || watchers->stopping)
        return watchers->started;
    watchers->started = pthread_create(&watchers->thread, NULL, run, watchers) == 0;
    if (watchers->started)
        pthread_setname_np(watchers->thread, "watchers");
    return watchers->started;
}

static bool add(struct watchers *watchers, struct watcher *watcher)
{
    lock_acquire(&watchers->lock);
    bool good = start(watchers);
    if (good) {
        watcher->next = watchers->added;
        watchers->added = watcher;
    }
    lock_release(&watchers->lock);
    if (good)
        sem_post(&watchers->call);
    return good;
}

static struct watcher *watcher_create(struct watchers *watchers, uint32_t streams,
                                      const struct session_client *client)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return NULL;
    if (!watch_buffer_init(&watcher->buffer, settings_u64(watchers->protocol->settings, watcher_logbuf_size)
                                                 << 10)) {
        free(watcher);
        return NULL;
    }
    watcher->task = (struct task){.go_on = watcher_go_on, .end = watcher_end, .is_watcher = true};
    watcher->watchers = watchers;
    watcher->client = *client;
    watcher->streams = streams;
    return watcher;
}

enum watchers_answer watchers_add(struct watchers *watchers, uint32_t streams,
                                  const struct session_client *client, struct task **task)
{
    enum watchers_answer answer = WATCHERS_FAILED;
    if (atomic_fetch_add_explicit(&watchers->count, 1, memory_order_relaxed) >= WATCHERS_MAX) {
        answer = WATCHERS_TOO_MANY;
    } else {
        struct watcher *watcher = watcher_create(watchers, streams, client);
        if (watcher != NULL && add(watchers, watcher)) {
            *task = &watcher->task;
            return WATCHERS_OK;
        }
        if (watcher != NULL)
            watcher_destroy(watcher);
    }
    atomic_fetch_sub_explicit(&watchers->count, 1, memory_order_relaxed);
    return answer;
}

void watchers_probe(void *context, struct metrics_snapshot *snapshot)
{
    struct watchers *watchers = context;
    struct events_count events;
    events_count(watchers->protocol->metrics, &events);
    snapshot->value[METRIC_log_worker_dropped] = events.dropped;
    snapshot->value[METRIC_log_worker_written] = events.put;
    snapshot->value[METRIC_log_watcher_skipped] =
        atomic_load_explicit(&watchers->skipped, memory_order_relaxed);
    snapshot->value[METRIC_log_watcher_sent] = atomic_load_explicit(&watchers->sent, memory_order_relaxed);
    snapshot->value[METRIC_log_watchers] = atomic_load_explicit(&watchers->count, memory_order_relaxed);
}
