/* What requests do: to the store, to the counters, to memory, and to the others on the same worker. */
#include "protocol_fixture.h"

static const struct fixture_sizes roomy = {8 << 20, 65536, 65536, false};

/* ---- counting ---- */

struct movement {
    const char *input;
    struct {
        enum metric id;
        uint64_t moved;
    } wanted[4];
};
#define NONE METRIC_COUNT

static const struct movement movements[] = {
    {"get a b\r\n",
     {{METRIC_cmd_get, 2}, {METRIC_get_hits, 1}, {METRIC_get_misses, 1}, {METRIC_requests, 2}}},
    {"gets a\r\n", {{METRIC_cmd_get, 1}, {METRIC_get_hits, 1}, {METRIC_cmd_touch, 0}, {NONE, 0}}},
    {"gat 0 a b\r\n",
     {{METRIC_cmd_touch, 2}, {METRIC_touch_hits, 1}, {METRIC_touch_misses, 1}, {METRIC_cmd_get, 0}}},
    {"touch a 0\r\n", {{METRIC_cmd_touch, 1}, {METRIC_touch_hits, 1}, {NONE, 0}, {NONE, 0}}},
    {"touch b 0\r\n", {{METRIC_cmd_touch, 1}, {METRIC_touch_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"set a 0 0 1\r\n1\r\n",
     {{METRIC_cmd_set, 1}, {METRIC_set_hits, 1}, {METRIC_total_items, 1}, {METRIC_curr_items, 0}}},
    {"add a 0 0 1\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 0}, {NONE, 0}, {NONE, 0}}},
    {"replace b 0 0 1\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 0}, {NONE, 0}, {NONE, 0}}},
    {"append a 0 0 1\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 1}, {NONE, 0}, {NONE, 0}}},
    {"cas a 0 0 1 99\r\n1\r\n",
     {{METRIC_cmd_set, 1}, {METRIC_cas_badval, 1}, {METRIC_set_hits, 0}, {NONE, 0}}},
    {"cas b 0 0 1 99\r\n1\r\n",
     {{METRIC_cmd_set, 1}, {METRIC_cas_misses, 1}, {METRIC_set_hits, 0}, {NONE, 0}}},
    {"set a 0 0 1\r\n22\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 0}, {NONE, 0}, {NONE, 0}}},
    {"set a x 0 1\r\n1\r\n", {{METRIC_cmd_set, 0}, {METRIC_requests, 1}, {NONE, 0}, {NONE, 0}}},
    {"delete a\r\n", {{METRIC_delete_hits, 1}, {METRIC_delete_misses, 0}, {NONE, 0}, {NONE, 0}}},
    {"delete b\r\n", {{METRIC_delete_hits, 0}, {METRIC_delete_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"incr a 1\r\n", {{METRIC_incr_hits, 1}, {METRIC_incr_misses, 0}, {METRIC_decr_hits, 0}, {NONE, 0}}},
    {"decr a 1\r\n", {{METRIC_decr_hits, 1}, {METRIC_decr_misses, 0}, {METRIC_incr_hits, 0}, {NONE, 0}}},
    {"incr b 1\r\n", {{METRIC_incr_hits, 0}, {METRIC_incr_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"decr b 1\r\n", {{METRIC_decr_hits, 0}, {METRIC_decr_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"incr a x\r\n", {{METRIC_incr_hits, 0}, {METRIC_incr_misses, 0}, {METRIC_requests, 1}, {NONE, 0}}},
    {"mg a\r\n", {{METRIC_cmd_get, 1}, {METRIC_get_hits, 1}, {METRIC_cmd_meta, 0}, {METRIC_requests, 1}}},
    {"mg b v\r\n", {{METRIC_cmd_get, 1}, {METRIC_get_misses, 1}, {METRIC_miss_never_seen, 1}, {NONE, 0}}},
    {"mg a v T0\r\n",
     {{METRIC_cmd_get, 0}, {METRIC_get_hits, 0}, {METRIC_cmd_touch, 1}, {METRIC_touch_hits, 1}}},
    {"mg b T0\r\n",
     {{METRIC_cmd_get, 1}, {METRIC_get_misses, 1}, {METRIC_cmd_touch, 0}, {METRIC_touch_misses, 0}}},
    {"mg b N30\r\n",
     {{METRIC_cmd_get, 1}, {METRIC_get_hits, 1}, {METRIC_total_items, 1}, {METRIC_miss_never_seen, 0}}},
    {"mg a z\r\n", {{METRIC_cmd_get, 0}, {METRIC_get_hits, 0}, {METRIC_requests, 1}, {NONE, 0}}},
    {"ms a 1\r\n1\r\n",
     {{METRIC_cmd_set, 1}, {METRIC_set_hits, 1}, {METRIC_total_items, 1}, {METRIC_curr_items, 0}}},
    {"ms a 1 ME\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 0}, {NONE, 0}, {NONE, 0}}},
    {"ms a 1 C99\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_cas_badval, 1}, {METRIC_set_hits, 0}, {NONE, 0}}},
    {"ms b 1 C99\r\n1\r\n", {{METRIC_cmd_set, 1}, {METRIC_cas_misses, 1}, {METRIC_set_hits, 0}, {NONE, 0}}},
    {"ms a 1 C99 MA\r\n1\r\n",
     {{METRIC_cmd_set, 1}, {METRIC_cas_badval, 0}, {METRIC_cas_misses, 0}, {NONE, 0}}},
    {"ms a 1 q\r\n22\r\n", {{METRIC_cmd_set, 1}, {METRIC_total_items, 0}, {NONE, 0}, {NONE, 0}}},
    {"md a\r\n", {{METRIC_delete_hits, 1}, {METRIC_delete_misses, 0}, {METRIC_curr_items, UINT64_MAX}}},
    {"md a C99\r\n", {{METRIC_delete_hits, 0}, {METRIC_delete_misses, 1}, {METRIC_curr_items, 0}}},
    {"md b\r\n", {{METRIC_delete_hits, 0}, {METRIC_delete_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"md a I\r\n",
     {{METRIC_delete_hits, 0}, {METRIC_delete_misses, 0}, {METRIC_total_items, 0}, {METRIC_curr_items, 0}}},
    {"md a x\r\n", {{METRIC_delete_hits, 1}, {METRIC_total_items, 1}, {METRIC_curr_items, 0}, {NONE, 0}}},
    {"ma a\r\n", {{METRIC_incr_hits, 1}, {METRIC_incr_misses, 0}, {METRIC_decr_hits, 0}, {NONE, 0}}},
    {"ma a MD\r\n", {{METRIC_decr_hits, 1}, {METRIC_decr_misses, 0}, {METRIC_incr_hits, 0}, {NONE, 0}}},
    {"ma b\r\n", {{METRIC_incr_hits, 0}, {METRIC_incr_misses, 1}, {NONE, 0}, {NONE, 0}}},
    {"ma b MD\r\n", {{METRIC_decr_hits, 0}, {METRIC_decr_misses, 1}, {METRIC_incr_misses, 0}, {NONE, 0}}},
    {"ma b N0\r\n",
     {{METRIC_incr_hits, 0}, {METRIC_incr_misses, 0}, {METRIC_total_items, 1}, {METRIC_curr_items, 1}}},
    {"ma a C99\r\n", {{METRIC_incr_hits, 0}, {METRIC_incr_misses, 0}, {NONE, 0}, {NONE, 0}}},
    {"me a\r\n", {{METRIC_cmd_meta, 1}, {METRIC_get_hits, 0}, {METRIC_cmd_get, 0}, {NONE, 0}}},
    {"me b\r\n", {{METRIC_cmd_meta, 1}, {METRIC_get_misses, 0}, {NONE, 0}, {NONE, 0}}},
    {"mn\r\n", {{METRIC_cmd_meta, 0}, {METRIC_requests, 1}, {NONE, 0}, {NONE, 0}}},
    {"flush_all\r\n", {{METRIC_cmd_flush, 1}, {NONE, 0}, {NONE, 0}, {NONE, 0}}},
    {"flush_all x\r\n", {{METRIC_cmd_flush, 1}, {NONE, 0}, {NONE, 0}, {NONE, 0}}},
    {"bogus\r\n", {{METRIC_requests, 1}, {METRIC_cmd_get, 0}, {METRIC_cmd_set, 0}, {NONE, 0}}},
};

static void check_movement(const struct movement *movement, size_t piece)
{
    struct fixture *f = fixture_open(&roomy);
    ck_assert_str_eq(fixture_ask(f, "set a 0 0 2\r\n10\r\n"), "STORED\r\n");
    struct metrics_snapshot before, after;
    metrics_snapshot_take(f->metrics, &before);
    fixture_feed(f, movement->input, strlen(movement->input), piece);
    metrics_snapshot_take(f->metrics, &after);
    for (unsigned i = 0; i < 4; i++) {
        enum metric id = movement->wanted[i].id;
        if (id == NONE)
            continue;
        uint64_t moved = after.value[id] - before.value[id];
        /* The line end behind a body of the wrong size is a request too. */
        ck_assert_msg(moved == movement->wanted[i].moved, "%s: %s moved by %llu", movement->input,
                      metrics_row(id)->name, (unsigned long long)moved);
    }
    fixture_close(f);
}

START_TEST(counts_each_outcome_once)
{
    check_movement(&movements[_i], SIZE_MAX);
    check_movement(&movements[_i], 1);
}
END_TEST

START_TEST(counts_size_bands)
{
    struct fixture *f = fixture_open(&roomy);
    fixture_ask(f, "set a 0 0 2\r\n10\r\nget a\r\ntouch a 0\r\nincr a 1\r\ndecr a 1\r\ngets a\r\n"
                   "cas a 0 0 2 1\r\n11\r\ndelete a\r\n");
    struct metrics_snapshot snapshot;
    metrics_snapshot_take(f->metrics, &snapshot);
    const uint64_t *band = snapshot.band[metrics_band_of(19)];
    ck_assert_uint_eq(band[BAND_get_hits], 2);
    ck_assert_uint_eq(band[BAND_touch_hits], 1);
    ck_assert_uint_eq(band[BAND_incr_hits], 1);
    ck_assert_uint_eq(band[BAND_decr_hits], 1);
    ck_assert_uint_eq(band[BAND_cmd_set], 2);
    ck_assert_uint_eq(band[BAND_cas_badval], 1);
    ck_assert_uint_eq(band[BAND_delete_hits], 1);
    fixture_close(f);
}
END_TEST

/* Sets in a row, one by one and of every way there is through the store: alike to who reads the counts. */
static void check_sets(const char *input, size_t size, size_t piece, size_t value_size, unsigned sets)
{
    struct fixture *f = fixture_open(&roomy);
    struct metrics_snapshot snapshot;
    fixture_feed(f, input, size, piece);
    metrics_snapshot_take(f->metrics, &snapshot);
    const uint64_t *band = snapshot.band[metrics_band_of(16 + 1 + value_size)];
    ck_assert_uint_eq(band[BAND_cmd_set], sets);
    ck_assert_uint_eq(band[BAND_stored], sets);
    ck_assert_uint_eq(band[BAND_removed], sets - 1); /* of one key */
    ck_assert_uint_eq(snapshot.value[METRIC_cmd_set], sets);
    ck_assert_uint_eq(snapshot.value[METRIC_total_items], sets);
    ck_assert_uint_eq(snapshot.value[METRIC_removed_replaced], sets - 1);
    struct histogram ttls;
    metrics_distribution_read(f->metrics, DISTRIBUTION_set_ttl, &ttls);
    ck_assert_uint_eq(histogram_count(&ttls), sets);
    ck_assert_uint_le(ttls.sum, sets / 2 * 100);
    ck_assert_uint_ge(ttls.sum, sets / 2 * 99); /* a second may end meanwhile */
    fixture_close(f);
}

/* Small, too large to lie within a record, and received apart; every other one lives for 100 s. */
static const unsigned counted_sizes[] = {10, 10000, 40000};

START_TEST(counts_sets_of_any_size_as_commands_and_as_items)
{
    unsigned value_size = counted_sizes[_i], sets = 6;
    char *body = fixture_body(value_size);
    struct buffer input = {0};
    for (unsigned i = 0; i < sets; i++) {
        buffer_format(&input, "set k 0 %u %u\r\n", i % 2 * 100, value_size);
        buffer_append(&input, body, value_size + 2);
    }
    check_sets(input.data, input.size, SIZE_MAX, value_size, sets);
    check_sets(input.data, input.size, 7, value_size, sets);
    buffer_fini(&input);
    free(body);
}
END_TEST

/* ---- memory ---- */

/* Values within a segment, and values that take several. */
static const unsigned full_sizes[] = {500, 50000};

START_TEST(refuses_to_store_when_full_and_not_to_evict)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){4 << 20, 65536, 65536, true});
    char *body = fixture_body(full_sizes[_i]), line[64];
    const char *reply;
    unsigned stored = 0;
    do {
        int size = snprintf(line, sizeof line, "set k%u 0 0 %u\r\n", stored, full_sizes[_i]);
        f->reply.size = 0;
        fixture_feed(f, line, (size_t)size, SIZE_MAX);
        fixture_feed(f, body, full_sizes[_i] + 2, SIZE_MAX);
        reply = fixture_reply(f);
    } while (strcmp(reply, "STORED\r\n") == 0 && ++stored < 100000);
    ck_assert_str_eq(reply, "SERVER_ERROR out of memory storing object\r\n");
    ck_assert_uint_gt(stored, 10);
    ck_assert_uint_gt(fixture_metric(f, METRIC_store_no_memory), 0);
    ck_assert_uint_eq(fixture_metric(f, METRIC_curr_items), stored);
    free(body);
    fixture_close(f);
}
END_TEST

START_TEST(expires_by_the_clock)
{
    struct fixture *f = fixture_open(&roomy);
    clock_freeze_for_test(1000);
    fixture_ask(f, "set a 0 10 1\r\n1\r\nset b 0 0 1\r\n2\r\nset c 0 -1 1\r\n3\r\nflush_all 100\r\n");
    ck_assert_str_eq(fixture_ask(f, "get a b c\r\n"), "VALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n");
    clock_freeze_for_test(1010);
    ck_assert_str_eq(fixture_ask(f, "get a b\r\n"), "VALUE b 0 1\r\n2\r\nEND\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_expired), 2);
    clock_freeze_for_test(1100);
    ck_assert_str_eq(fixture_ask(f, "get b\r\nset d 0 0 1\r\n4\r\nget d\r\n"),
                     "END\r\nSTORED\r\nVALUE d 0 1\r\n4\r\nEND\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_flushed), 1);
    fixture_close(f);
}
END_TEST

/* ---- the server ---- */

START_TEST(shuts_down_only_when_allowed)
{
    struct fixture *f = fixture_open(&roomy);
    fixture_ask(f, "shutdown\r\nversion\r\n");
    ck_assert(f->closed);
    ck_assert_uint_eq(f->shutdowns, 1);
    fixture_connect(f);
    fixture_ask(f, "shutdown graceful\r\n");
    ck_assert_uint_eq(f->shutdowns, 101);
    fixture_connect(f);
    f->settings.enable_shutdown = false;
    ck_assert_str_eq(fixture_ask(f, "shutdown\r\n"), "SERVER_ERROR: shutdown not enabled\r\n");
    ck_assert_uint_eq(f->shutdowns, 101);
    fixture_close(f);
}
END_TEST

static bool says(const char *reply, const char *line)
{
    const char *at = strstr(reply, line);
    return at != NULL && (at == reply || at[-1] == '\n');
}

START_TEST(tells_stats_in_every_group)
{
    struct fixture *f = fixture_open(&roomy);
    fixture_ask(f, "set a 0 0 2\r\n10\r\nget a b\r\n");
    const char *reply = fixture_ask(f, "stats\r\n");
    static const char *const lines[] = {"STAT pid ",
                                        "STAT uptime ",
                                        "STAT version 1.6.45",
                                        "STAT pointer_size 64\r\n",
                                        "STAT rusage_user 0.",
                                        "STAT cmd_get 2\r\n",
                                        "STAT cmd_set 1\r\n",
                                        "STAT get_hits 1\r\n",
                                        "STAT curr_items 1\r\n",
                                        "STAT slabs_moved 0\r\n",
                                        "STAT limit_maxbytes 8388608\r\n",
                                        "END\r\n"};
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(says(reply, lines[i]), "%s is not in %s", lines[i], reply);
    ck_assert(says(fixture_ask(f, "stats settings\r\n"), "STAT tcpport 11211\r\n"));
    ck_assert(says(fixture_ask(f, "stats items\r\n"), "STAT items:1:number 1\r\n"));
    ck_assert(says(fixture_ask(f, "stats slabs\r\n"), "STAT active_slabs 1\r\n"));
    ck_assert_str_eq(fixture_ask(f, "stats conns\r\n"), "END\r\n");
    ck_assert_str_eq(fixture_ask(f, "stats reset\r\n"), "RESET\r\n");
    reply = fixture_ask(f, "stats\r\n");
    ck_assert(says(reply, "STAT cmd_get 0\r\n"));
    ck_assert(says(reply, "STAT curr_items 1\r\n"));
    ck_assert_str_eq(fixture_ask(f, "stats sizes\r\n"), "STAT sizes_status disabled\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

START_TEST(sends_long_stats_through_a_small_output)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){8 << 20, 1024, 1024, false});
    const char *reply = fixture_ask(f, "stats\r\nget a\r\n");
    ck_assert(says(reply, "STAT pid "));
    ck_assert(says(reply, "END\r\nEND\r\n"));
    ck_assert_uint_gt(strlen(reply), 1024);
    ck_assert_uint_le(f->output_max, 1024);
    fixture_close(f);
}
END_TEST

START_TEST(tells_prefixes_only_when_asked_to)
{
    struct fixture *f = fixture_open(&roomy);
    fixture_ask(f, "set a:1 0 0 1\r\n1\r\n");
    ck_assert_str_eq(fixture_ask(f, "stats detail dump\r\n"), "END\r\n");
    fixture_ask(f, "stats detail on\r\nset a:1 0 0 1\r\n1\r\nget a:1 a:2\r\ndelete a:1\r\nstats detail "
                   "off\r\nget a:1\r\n");
    ck_assert_str_eq(fixture_ask(f, "stats detail dump\r\n"), "PREFIX a get 2 hit 1 set 1 del 1\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

START_TEST(sets_the_memory_limit)
{
    struct fixture *f = fixture_open(&roomy);
    ck_assert_str_eq(fixture_ask(f, "cache_memlimit 9\r\ncache_memlimit 3\r\n"),
                     "OK\r\nMEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_limit_maxbytes), 9 << 20);
    fixture_close(f);
}
END_TEST

/* ---- connections that end in the middle ---- */

START_TEST(drops_what_a_closed_connection_left)
{
    static const char *const openings[] = {
        "get a",     "set k 0 0 10\r\n12", "set k 0 0 500000\r\n12345", "set k 0 0 9000000\r\nx",
        "stats\r\n", "set k x 0 10\r\n1"};
    for (unsigned i = 0; i < sizeof openings / sizeof *openings; i++) {
        struct fixture *f = fixture_open(&roomy);
        fixture_ask(f, openings[i]);
        fixture_connect(f);
        ck_assert_str_eq(fixture_ask(f, "get k\r\n"), "END\r\n");
        fixture_close(f);
    }
}
END_TEST

/* Inputs that once broke memcached. */
START_TEST(survives_what_broke_others)
{
    static const char *const inputs[] = {"stats maps\r\n",
                                         "set a 0 0 4294967295\r\n",
                                         "lru mode\r\nlru temp_ttl\r\nlru\r\n",
                                         "slabs reassign 0 0\r\n",
                                         "mg foo v v v v v v v v\r\n",
                                         "mg \r\n",
                                         "get \n",
                                         "set a 0 0 4294967294\r\n",
                                         "slabs automove window 0\r\n",
                                         "set a 0 0 2147483646\r\n"};
    for (unsigned i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct fixture *f = fixture_open(&roomy);
        fixture_ask(f, inputs[i]);
        ck_assert(!f->closed);
        fixture_connect(f);
        ck_assert_str_eq(fixture_ask(f, "version\r\n"), "VERSION 1.6.45 vitrine/" VITRINE_VERSION "\r\n");
        fixture_close(f);
    }
}
END_TEST

/* A batch looks its keys up ahead: what its own requests change between must show. */
START_TEST(sees_what_an_earlier_request_of_the_batch_did)
{
    struct fixture *f = fixture_open(&roomy);
    fixture_ask(f, "set a 0 0 1\r\n1\r\nset b 0 0 1\r\nb\r\n");
    ck_assert_str_eq(fixture_ask(f, "get a b\r\ndelete a\r\nget a b\r\nset a 0 0 2\r\n22\r\nget a b\r\n"
                                    "append a 0 0 1\r\n3\r\nget a\r\nflush_all\r\nget a b\r\n"),
                     "VALUE a 0 1\r\n1\r\nVALUE b 0 1\r\nb\r\nEND\r\nDELETED\r\n"
                     "VALUE b 0 1\r\nb\r\nEND\r\nSTORED\r\n"
                     "VALUE a 0 2\r\n22\r\nVALUE b 0 1\r\nb\r\nEND\r\n"
                     "STORED\r\nVALUE a 0 3\r\n223\r\nEND\r\nOK\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

/* ---- sets in a row, which are done together ---- */

START_TEST(answers_each_of_the_sets_in_a_row)
{
    struct fixture *f = fixture_open(&roomy);
    ck_assert_str_eq(
        fixture_ask(f, "set a 0 0 1\r\n1\r\nset b 7 0 0\r\n\r\nset a 4294967295 60 2\r\n22\r\n"
                       "set c 0 0 1 noreply\r\nc\r\nset d 0 -1 1\r\nd\r\nset a 0 0 x\r\n"
                       "set e 0 0 1\r\nee\r\nset f 0000000000 0 1\r\nf\r\nset b 0 0 3\r\nbbb\r\n"),
        "STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\nCLIENT_ERROR bad command line format\r\n"
        "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nSTORED\r\nSTORED\r\n");
    ck_assert_str_eq(fixture_ask(f, "get a b c d e f\r\n"),
                     "VALUE a 4294967295 2\r\n22\r\nVALUE b 0 3\r\nbbb\r\nVALUE c 0 1\r\nc\r\n"
                     "VALUE f 0 1\r\nf\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

/* The output fills in the middle of a row, behind a value: none is done twice or forgotten. */
START_TEST(goes_on_with_sets_where_the_output_was_full)
{
    enum { SETS = 60 };
    struct fixture *f = fixture_open(&(struct fixture_sizes){4 << 20, 65536, 1024, false});
    char text[SETS * 32], want[SETS * 8 + 128];
    char *value = fixture_body(400);
    fixture_ask(f, "set v 0 0 400\r\n");
    fixture_ask(f, value);
    free(value);
    uint64_t before = fixture_metric(f, METRIC_cmd_set);
    size_t size = (size_t)sprintf(text, "get v\r\n"), want_size = 0;
    for (unsigned i = 0; i < SETS; i++) {
        size += (size_t)sprintf(text + size, "set k%02u 0 0 2\r\n%02u\r\n", i, i);
        want_size += (size_t)sprintf(want + want_size, "STORED\r\n");
    }
    const char *reply = fixture_ask(f, text);
    ck_assert_str_eq(strstr(reply, "END\r\n") + 5, want);
    ck_assert_uint_eq(fixture_metric(f, METRIC_cmd_set) - before, SETS);
    ck_assert_uint_gt(f->output_max, 1024 - 512 - 8); /* it was full */
    ck_assert_uint_le(f->output_max, 1024 - 512 + 8); /* and no fuller */
    ck_assert_str_eq(fixture_ask(f, "get k00 k59\r\n"),
                     "VALUE k00 0 2\r\n00\r\nVALUE k59 0 2\r\n59\r\nEND\r\n");
    fixture_close(f);
}
END_TEST

/* One of a row finds no memory: its old value goes, the others are stored. */
START_TEST(tells_which_of_the_sets_in_a_row_failed)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){4 << 20, 65536, 65536, true});
    char *body = fixture_body(3000), row[4096];
    fixture_ask(f, "set old 0 0 1\r\no\r\nset small 0 0 1\r\ns\r\n");
    const char *reply = "STORED\r\n";
    for (unsigned i = 0; strcmp(reply, "STORED\r\n") == 0 && i < 10000; i++) {
        snprintf(row, sizeof row, "set k%u 0 0 3000\r\n%s", i, body);
        reply = fixture_ask(f, row);
    }
    uint64_t failed = fixture_metric(f, METRIC_store_no_memory), set = fixture_metric(f, METRIC_cmd_set);
    snprintf(row, sizeof row, "set small 0 0 1\r\n1\r\nset old 0 0 3000\r\n%sset small 0 0 1\r\n2\r\n", body);
    ck_assert_str_eq(fixture_ask(f, row),
                     "STORED\r\nSERVER_ERROR out of memory storing object\r\nSTORED\r\n");
    ck_assert_uint_eq(fixture_metric(f, METRIC_store_no_memory), failed + 1);
    ck_assert_uint_eq(fixture_metric(f, METRIC_cmd_set), set + 2);
    ck_assert_str_eq(fixture_ask(f, "get old small\r\n"), "VALUE small 0 1\r\n2\r\nEND\r\n");
    free(body);
    fixture_close(f);
}
END_TEST

/* Keys and sizes are compared, copied and written in steps that depend on their length. */
START_TEST(answers_keys_and_values_of_every_length)
{
    char key[STORE_KEY_SIZE_MAX + 1], line[2 * STORE_KEY_SIZE_MAX + 64], want[STORE_KEY_SIZE_MAX + 64];
    struct fixture *f = fixture_open(&roomy);
    static const unsigned value_sizes[] = {0, 1, 9, 10, 11, 99, 100, 109, 999, 1000, 1010, 9999, 10000};
    for (unsigned size = 1; size <= STORE_KEY_SIZE_MAX; size++) {
        memset(key, 'k', size);
        key[size] = 0;
        unsigned value_size = value_sizes[size % (sizeof value_sizes / sizeof *value_sizes)];
        char *body = fixture_body(value_size);
        snprintf(line, sizeof line, "set %s %u 0 %u\r\n", key, size * 37, value_size);
        fixture_ask(f, line);
        ck_assert_str_eq(fixture_ask(f, body), "STORED\r\n");
        snprintf(want, sizeof want, "VALUE %s %u %u\r\n", key, size * 37, value_size);
        /* Twice: alone, and looked up ahead; and beside a key that differs in its last byte. */
        snprintf(line, sizeof line, "get %s\r\n", key);
        const char *reply = fixture_ask(f, line);
        ck_assert(memcmp(reply, want, strlen(want)) == 0);
        ck_assert(memcmp(reply + strlen(want), body, value_size + 2) == 0);
        ck_assert_str_eq(reply + strlen(want) + value_size + 2, "END\r\n");
        key[size - 1] = 'x';
        size_t at = strlen(line) - 2;
        snprintf(line + at, sizeof line - at, " %s\r\n", key);
        reply = fixture_ask(f, line);
        ck_assert(memcmp(reply, want, strlen(want)) == 0);
        ck_assert_str_eq(reply + strlen(want) + value_size + 2, "END\r\n");
        free(body);
    }
    fixture_close(f);
}
END_TEST

static void add_tests(Suite *suite)
{
    TCase *lookup = tcase_create("lookup");
    tcase_add_test(lookup, sees_what_an_earlier_request_of_the_batch_did);
    tcase_add_test(lookup, answers_keys_and_values_of_every_length);
    suite_add_tcase(suite, lookup);
    TCase *sets = tcase_create("sets");
    tcase_add_test(sets, answers_each_of_the_sets_in_a_row);
    tcase_add_test(sets, goes_on_with_sets_where_the_output_was_full);
    tcase_add_test(sets, tells_which_of_the_sets_in_a_row_failed);
    suite_add_tcase(suite, sets);
    TCase *counting = tcase_create("counting");
    tcase_add_loop_test(counting, counts_each_outcome_once, 0, (int)(sizeof movements / sizeof *movements));
    tcase_add_test(counting, counts_size_bands);
    tcase_add_loop_test(counting, counts_sets_of_any_size_as_commands_and_as_items, 0,
                        sizeof counted_sizes / sizeof *counted_sizes);
    suite_add_tcase(suite, counting);
    TCase *server = tcase_create("server");
    tcase_set_timeout(server, 60);
    tcase_add_loop_test(server, refuses_to_store_when_full_and_not_to_evict, 0, 2);
    tcase_add_test(server, expires_by_the_clock);
    tcase_add_test(server, shuts_down_only_when_allowed);
    tcase_add_test(server, tells_stats_in_every_group);
    tcase_add_test(server, sends_long_stats_through_a_small_output);
    tcase_add_test(server, tells_prefixes_only_when_asked_to);
    tcase_add_test(server, sets_the_memory_limit);
    tcase_add_test(server, drops_what_a_closed_connection_left);
    tcase_add_test(server, survives_what_broke_others);
    suite_add_tcase(suite, server);
}

int main(void)
{
    clock_init();
    clock_freeze_for_test(1000);
    Suite *suite = suite_create("protocol execute");
    add_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
