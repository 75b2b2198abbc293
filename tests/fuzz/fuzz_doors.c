/* Fuzzes the ways in that are not a plain connection: datagrams, and the door of the text protocol.
 *
 * The first byte of an input chooses. Datagrams: the rest is cut into pieces by lengths that stand before
 * each, and each piece is one datagram; checked are the limit of what it brings back, that it leaves the
 * output and the store as it should, and that no byte beyond it is read. The door: the rest goes to a server
 * with one user, in pieces cut by the second byte; checked is that nobody comes in without the password and
 * that before nothing is stored, looked up or kept. Thread-safety: none. */
#include "base/assert.h"
#include "base/clock.h"
#include "protocol/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_CAPACITY  4096u
#define OUTPUT_CAPACITY (2 * PROTOCOL_DATAGRAM_REPLY_MAX)
#define USER_LINE       "fuzz:door\n"
#define TOKEN           "fuzz door"

static struct auth *users;

struct server {
    struct settings settings;
    struct metrics *metrics;
    struct metrics_block *block;
    struct store *store;
    struct store_thread *store_thread;
    struct protocol *protocol;
    struct protocol_thread *thread;
    struct output output;
    char output_data[OUTPUT_CAPACITY];
};

static void server_open(struct server *server, struct auth *auth)
{
    char error[128];
    const struct protocol_host host = {.auth = auth};
    const struct store_config config = {
        .memory_size = 1 << 20, .item_size_max = 1 << 18, .thread_count = 1, .hash_seed = 3};
    settings_init(&server->settings);
    server->metrics = metrics_create();
    server->block = metrics_block_create(server->metrics);
    server->store = store_create(&config, server->metrics, error, sizeof error);
    ASSERT(server->store != NULL);
    server->store_thread = store_thread_create(server->store, server->block);
    store_thread_online(server->store_thread);
    server->protocol = protocol_create(&server->settings, server->store, server->metrics, &host);
    server->thread = protocol_thread_create(server->protocol, server->store_thread, server->block);
    server->output = (struct output){.data = server->output_data, .capacity = OUTPUT_CAPACITY};
}

static void server_close(struct server *server)
{
    output_clear(&server->output);
    protocol_thread_destroy(server->thread);
    protocol_destroy(server->protocol);
    store_thread_offline(server->store_thread);
    store_thread_destroy(server->store_thread);
    store_destroy(server->store);
    metrics_destroy(server->metrics);
    settings_fini(&server->settings);
}

/* Memory of the exact size, so that a sanitizer sees a byte read beyond it. */
static char *exactly(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    return copy;
}

/* ---- datagrams ---- */

static void serve_datagram(struct server *server, const uint8_t *data, size_t size)
{
    char *exact = exactly(data, size);
    enum protocol_datagram done = protocol_datagram(server->thread, exact, size, &server->output);
    free(exact);
    ASSERT(output_pending(&server->output) <= PROTOCOL_DATAGRAM_REPLY_MAX);
    ASSERT(done != PROTOCOL_DATAGRAM_DROPPED || output_pending(&server->output) == 0);
    ASSERT(done != PROTOCOL_DATAGRAM_CUT || output_pending(&server->output) > 0);
    output_clear(&server->output);
    store_thread_quiesce(server->store_thread);
}

static void serve_datagrams(const uint8_t *data, size_t size)
{
    static struct server server;
    server_open(&server, NULL);
    while (size > 0) {
        size_t want = data[0], part = want < size - 1 ? want : size - 1;
        serve_datagram(&server, data + 1, part);
        data += 1 + part;
        size -= 1 + part;
    }
    server_close(&server);
}

/* ---- the door ---- */

static void check_nothing_was_served(struct server *server)
{
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(server->metrics, &snapshot);
    ASSERT(snapshot.value[METRIC_total_items] == 0 && snapshot.value[METRIC_cmd_get] == 0);
    ASSERT(snapshot.value[METRIC_auth_cmds] == snapshot.value[METRIC_auth_errors]);
}

/* One run over what is there; returns how much of it is left, at the beginning of `input`. */
static size_t run_once(struct server *server, struct session *session, char *input, size_t size,
                       enum protocol_next *next)
{
    char *exact = exactly((const uint8_t *)input, size);
    struct protocol_input received = {.data = exact, .size = size, .capacity = INPUT_CAPACITY};
    *next = protocol_run(server->thread, session, &received, &server->output);
    free(exact);
    ASSERT(received.consumed <= size);
    ASSERT(server->output.size <= OUTPUT_CAPACITY);
    output_clear(&server->output);
    store_thread_quiesce(server->store_thread);
    memmove(input, input + received.consumed, size - received.consumed);
    return size - received.consumed;
}

static void knock(const uint8_t *data, size_t size)
{
    static struct server server;
    const uint8_t *all = data;
    size_t all_size = size, step = 1 + (size > 0 ? data[0] : 0), held = 0;
    char input[INPUT_CAPACITY];
    struct session session;
    enum protocol_next next = PROTOCOL_READ;
    server_open(&server, users);
    session_init(&session);
    while (size > 0 && next != PROTOCOL_CLOSE && !session.authenticated) {
        size_t part = step < size ? step : size;
        ASSERT(held + part <= sizeof input);
        memcpy(input + held, data, part);
        held += part;
        data += part;
        size -= part;
        do
            held = run_once(&server, &session, input, held, &next);
        while (next != PROTOCOL_READ && next != PROTOCOL_CLOSE);
    }
    if (session.authenticated)
        ASSERT(memmem(all, all_size, TOKEN, sizeof TOKEN - 1) != NULL);
    else
        check_nothing_was_served(&server);
    session_fini(&session);
    server_close(&server);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char path[] = "/tmp/fuzz-users-XXXXXX", error[256];
    clock_init();
    clock_freeze_for_test(100000);
    int fd = mkstemp(path);
    ASSERT(fd >= 0 && write(fd, USER_LINE, sizeof USER_LINE - 1) == sizeof USER_LINE - 1);
    close(fd);
    users = auth_create(path, error, sizeof error);
    unlink(path);
    ASSERT(users != NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & 1)
        serve_datagrams(data + 1, size - 1);
    else
        knock(data + 1, size - 1);
    return 0;
}
