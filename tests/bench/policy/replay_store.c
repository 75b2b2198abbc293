#include "replay_store.h"

#include "base/clock.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define CLOCK_BEGIN_S 100u
#define BATCH         16u /* writes between two rounds of the maintainer: what a turn of a worker brings */
#define VALUE_MAX     (1u << 20)

struct player {
    const struct requests *requests;
    struct metrics *metrics;
    struct store *store;
    struct store_thread *thread;
    unsigned writes; /* since the last round of maintenance */
    char *value;
};

static void player_close(struct player *player)
{
    if (player->thread) {
        store_thread_offline(player->thread);
        store_thread_destroy(player->thread);
    }
    store_destroy(player->store);
    metrics_destroy(player->metrics);
    free(player->value);
}

static bool player_open(struct player *player, const struct requests *requests, size_t memory_size)
{
    char error[200] = "out of memory";
    struct store_config config = {.memory_size = memory_size,
                                  .memory_size_max = memory_size,
                                  .item_size_max = VALUE_MAX,
                                  .thread_count = 1,
                                  .hash_seed = 1};
    *player =
        (struct player){.requests = requests, .metrics = metrics_create(), .value = calloc(1, VALUE_MAX)};
    clock_freeze_for_test(CLOCK_BEGIN_S);
    if (player->metrics && player->value)
        player->store = store_create(&config, player->metrics, error, sizeof error);
    if (player->store)
        player->thread = store_thread_create(player->store, metrics_block_create(player->metrics));
    if (player->thread)
        store_thread_online(player->thread);
    else
        fprintf(stderr, "store: %s\n", error);
    return player->thread != NULL;
}

/* Rounds until what they freed has passed its grace period too. */
static void player_maintain(struct player *player)
{
    for (unsigned i = 0; i < 2; i++) {
        store_thread_quiesce(player->thread);
        store_maintain(player->store);
    }
    player->writes = 0;
}

static void player_follow_clock(struct player *player, uint64_t at)
{
    uint32_t now_s = CLOCK_BEGIN_S + requests_second(player->requests, at);
    if (now_s == clock_s())
        return;
    clock_freeze_for_test(now_s);
    player_maintain(player);
}

static void player_write(struct player *player, const struct stream_record *record,
                         const struct store_key *key)
{
    struct store_write write = {.key = *key,
                                .value = player->value,
                                .size = record->value_size,
                                .expiry_s = record->ttl_s ? clock_s() + record->ttl_s : STORE_NEVER_S};
    store_write(player->thread, &write, NULL);
    if (++player->writes >= BATCH)
        player_maintain(player);
}

static void play(struct player *player, uint64_t at, struct replay_result *result)
{
    char text[STREAM_KEY_SIZE_MAX];
    const struct stream_record *record = &player->requests->stream.records[at];
    struct store_view view;
    player_follow_clock(player, at);
    stream_key_text(record->key, text, player->requests->stream.key_size);
    struct store_key key = store_key(player->store, text, player->requests->stream.key_size);
    if (record->op == STREAM_DELETE) {
        store_delete(player->thread, &key, 0);
        return;
    }
    if (record->op == STREAM_GET) {
        bool hit = store_get(player->thread, &key, &view, NULL) == RESULT_HIT;
        bool counted = at >= player->requests->counted_from;
        result->gets += counted;
        result->misses += counted && !hit;
        if (hit)
            return;
    }
    player_write(player, record, &key);
}

static bool player_sum(struct player *player, struct store_figures *figures)
{
    struct store_usage usage;
    struct metrics_snapshot *snapshot = malloc(sizeof *snapshot);
    if (!snapshot)
        return false;
    metrics_snapshot_take(player->metrics, snapshot);
    store_usage_read(player->store, &usage);
    *figures = (struct store_figures){.bytes_stored = snapshot->value[METRIC_bytes_stored],
                                      .bytes_copied = snapshot->value[METRIC_copied_bytes],
                                      .live_share = (double)usage.live_size / (double)usage.limit_size,
                                      .item_count = usage.item_count};
    free(snapshot);
    return true;
}

bool store_replay(const struct requests *requests, size_t memory_size, struct replay_result *result,
                  struct store_figures *figures)
{
    struct player player;
    bool open = player_open(&player, requests, memory_size);
    *result = (struct replay_result){0};
    for (uint64_t at = 0; open && at < requests->stream.count; at++)
        play(&player, at, result);
    open = open && player_sum(&player, figures);
    player_close(&player);
    return open;
}
