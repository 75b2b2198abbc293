/* What each binary frame answers, however its bytes are cut: whole, at each byte boundary, byte by byte, and
 * through an input and an output that hold next to nothing. CAS numbers are compared as there or not there.
 * That the answers are memcached's is shown in tests/binary. */
#include "protocol_fixture.h"

#include <endian.h>

#define OPAQUE "\xde\xad\xbe\xef"
#define K50    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250   K50 K50 K50 K50 K50

static const struct fixture_sizes roomy = {.memory = 4 << 20, .input = 16384, .output = 32768};
static const struct fixture_sizes tight = {.memory = 4 << 20, .input = 600, .output = 1024};

enum {
    GET,
    SET,
    ADD,
    REPLACE,
    DELETE,
    INCREMENT,
    DECREMENT,
    QUIT,
    FLUSH,
    GETQ,
    NOOP,
    VERSION,
    GETK,
    GETKQ,
    APPEND,
    PREPEND,
    STAT,
    SETQ,
    ADDQ,
    REPLACEQ,
    DELETEQ,
    INCREMENTQ,
    DECREMENTQ,
    QUITQ,
    FLUSHQ,
    APPENDQ,
    PREPENDQ,
    TOUCH = 0x1c,
    GAT,
    GATQ,
    SASL_LIST = 0x20,
    SASL_AUTH,
    SASL_STEP,
    GATK,
    GATKQ
};

/* ---- frames ---- */

static void put_u32(struct buffer *out, uint32_t number)
{
    number = htobe32(number);
    buffer_append(out, &number, sizeof number);
}

static void put_u64(struct buffer *out, uint64_t number)
{
    number = htobe64(number);
    buffer_append(out, &number, sizeof number);
}

struct head {
    unsigned magic, opcode, status;
    size_t key_size, extras_size, body_size;
    uint64_t cas;
};

static void put_head(struct buffer *out, struct head head)
{
    const unsigned char bytes[] = {(unsigned char)head.magic,           (unsigned char)head.opcode,
                                   (unsigned char)(head.key_size >> 8), (unsigned char)head.key_size,
                                   (unsigned char)head.extras_size,     0,
                                   (unsigned char)(head.status >> 8),   (unsigned char)head.status};
    buffer_append(out, bytes, sizeof bytes);
    put_u32(out, (uint32_t)head.body_size);
    buffer_append(out, OPAQUE, 4);
    put_u64(out, head.cas);
}

static void put_request(struct buffer *out, unsigned opcode, size_t key_size, size_t extras_size,
                        size_t body_size)
{
    put_head(out, (struct head){.magic = 0x80,
                                .opcode = opcode,
                                .key_size = key_size,
                                .extras_size = extras_size,
                                .body_size = body_size});
}

/* A request with a key and a value. */
static void ask(struct buffer *in, unsigned opcode, const char *key, const char *value)
{
    put_request(in, opcode, strlen(key), 0, strlen(key) + strlen(value));
    buffer_text(in, key);
    buffer_text(in, value);
}

static void ask_store(struct buffer *in, unsigned opcode, const char *key, const char *value, uint32_t flags)
{
    put_request(in, opcode, strlen(key), 8, 8 + strlen(key) + strlen(value));
    put_u32(in, flags);
    put_u32(in, 0);
    buffer_text(in, key);
    buffer_text(in, value);
}

static void ask_delta(struct buffer *in, unsigned opcode, const char *key, uint64_t amount, uint64_t initial,
                      uint32_t expiry)
{
    put_request(in, opcode, strlen(key), 20, 20 + strlen(key));
    put_u64(in, amount);
    put_u64(in, initial);
    put_u32(in, expiry);
    buffer_text(in, key);
}

static void ask_touch(struct buffer *in, unsigned opcode, const char *key)
{
    put_request(in, opcode, strlen(key), 4, 4 + strlen(key));
    put_u32(in, 100);
    buffer_text(in, key);
}

/* A reply without extras; with a CAS where one is expected. */
static void told(struct buffer *out, unsigned opcode, unsigned status, const char *key, const char *value,
                 bool cas)
{
    put_head(out, (struct head){0x81, opcode, status, strlen(key), 0, strlen(key) + strlen(value), cas});
    buffer_text(out, key);
    buffer_text(out, value);
}

static void told_value(struct buffer *out, unsigned opcode, const char *key, const char *value,
                       uint32_t flags)
{
    put_head(out, (struct head){0x81, opcode, 0, strlen(key), 4, 4 + strlen(key) + strlen(value), 1});
    put_u32(out, flags);
    buffer_text(out, key);
    buffer_text(out, value);
}

static void told_number(struct buffer *out, unsigned opcode, uint64_t number)
{
    put_head(out, (struct head){0x81, opcode, 0, 0, 0, 8, 1});
    put_u64(out, number);
}

static void told_stored(struct buffer *out, unsigned opcode)
{
    told(out, opcode, 0, "", "", true);
}

static void told_error(struct buffer *out, unsigned opcode, unsigned status)
{
    static const char *const texts[] = {[1] = "Not found", "Data exists for key.",
                                        "Too large.",      "Invalid arguments",
                                        "Not stored.",     "Non-numeric server-side value for incr or decr"};
    told(out, opcode, status, "", status == 0x81 ? "Unknown command" : texts[status], false);
}

/* ---- exchanges: what is sent, what comes back; true: then the connection is closed ---- */

static bool retrievals(struct buffer *in, struct buffer *out)
{
    ask_store(in, SET, "key", "value", 0x01020304);
    told_stored(out, SET);
    ask(in, GET, "key", "");
    told_value(out, GET, "", "value", 0x01020304);
    ask(in, GETK, "key", "");
    told_value(out, GETK, "key", "value", 0x01020304);
    ask(in, GETQ, "none", "");
    ask(in, GETKQ, "none", "");
    ask(in, GETQ, "key", "");
    told_value(out, GETQ, "", "value", 0x01020304);
    ask(in, GET, "none", "");
    told_error(out, GET, 1);
    ask(in, GETK, "none", "");
    told(out, GETK, 1, "none", "", false);
    return false;
}

static bool storing(struct buffer *in, struct buffer *out)
{
    ask_store(in, ADD, "k", "1", 0);
    told_stored(out, ADD);
    ask_store(in, ADD, "k", "2", 0);
    told_error(out, ADD, 2);
    ask_store(in, ADDQ, "k", "2", 0);
    told_error(out, ADDQ, 2);
    ask_store(in, REPLACE, "none", "2", 0);
    told_error(out, REPLACE, 1);
    ask_store(in, REPLACEQ, "k", "22", 0);
    ask(in, APPEND, "k", "33");
    told_stored(out, APPEND);
    ask(in, PREPENDQ, "k", "11");
    ask(in, APPENDQ, "none", "");
    told_error(out, APPENDQ, 5);
    ask(in, GET, "k", "");
    told_value(out, GET, "", "112233", 0);
    ask_store(in, SETQ, K250, "", 0);
    ask(in, GETK, K250, "");
    told_value(out, GETK, K250, "", 0);
    ask(in, DELETE, "k", "");
    told(out, DELETE, 0, "", "", false);
    ask(in, DELETEQ, "k", "");
    told_error(out, DELETEQ, 1);
    return false;
}

static bool numbers(struct buffer *in, struct buffer *out)
{
    ask_delta(in, INCREMENT, "n", 1, 10, UINT32_MAX);
    told_error(out, INCREMENT, 1);
    ask_delta(in, INCREMENT, "n", 1, 10, 0);
    told_number(out, INCREMENT, 10);
    ask_delta(in, INCREMENTQ, "n", 5, 0, 0);
    ask_delta(in, DECREMENT, "n", 3, 0, 0);
    told_number(out, DECREMENT, 12);
    ask_delta(in, DECREMENTQ, "n", 100, 0, 0);
    ask_delta(in, INCREMENT, "n", UINT64_MAX, 0, 0);
    told_number(out, INCREMENT, UINT64_MAX);
    ask_store(in, SETQ, "n", "word", 0);
    ask_delta(in, INCREMENTQ, "n", 1, 0, 0);
    told_error(out, INCREMENTQ, 6);
    return false;
}

static bool touches(struct buffer *in, struct buffer *out)
{
    ask_touch(in, TOUCH, "k");
    told_error(out, TOUCH, 1);
    ask_touch(in, GATQ, "k");
    ask_touch(in, GATK, "k");
    told(out, GATK, 1, "k", "", false);
    ask_store(in, SETQ, "k", "value", 7);
    ask_touch(in, TOUCH, "k");
    told_value(out, TOUCH, "", "", 7);
    ask_touch(in, GAT, "k");
    told_value(out, GAT, "", "value", 7);
    ask_touch(in, GATKQ, "k");
    told_value(out, GATKQ, "k", "value", 7);
    return false;
}

static bool the_server(struct buffer *in, struct buffer *out)
{
    ask(in, NOOP, "", "");
    told(out, NOOP, 0, "", "", false);
    ask(in, VERSION, "", "");
    told(out, VERSION, 0, "", protocol_version(), false);
    ask_store(in, SETQ, "k", "value", 7);
    ask(in, FLUSHQ, "", "");
    ask(in, FLUSH, "", "");
    told(out, FLUSH, 0, "", "", false);
    ask(in, STAT, "nothing", "");
    told_error(out, STAT, 1);
    ask(in, STAT, "reset", "");
    told(out, STAT, 0, "", "", false);
    ask(in, SASL_LIST, "", "");
    told_error(out, SASL_LIST, 0x81);
    ask(in, SASL_AUTH, "PLAIN", "message");
    told_error(out, SASL_AUTH, 0x81);
    ask(in, NOOP, "", "");
    told(out, NOOP, 0, "", "", false);
    return false;
}

static bool unknown_opcodes(struct buffer *in, struct buffer *out)
{
    ask(in, 0x1b, "", "12345");
    told_error(out, 0x1b, 0x81);
    ask(in, 0x1f, "key", "12345");
    buffer_text(in, "123"); /* ignored too: as many bytes as the body has, behind the key */
    told_error(out, 0x1f, 0x81);
    ask(in, 0xff, "", "");
    told_error(out, 0xff, 0x81);
    ask(in, NOOP, "", "");
    told(out, NOOP, 0, "", "", false);
    return false;
}

/* A value that the tight input stages, and that goes out of the tight output in parts. */
static bool large_values(struct buffer *in, struct buffer *out)
{
    static char value[3001];
    memset(value, 'v', sizeof value - 1);
    ask_store(in, SET, "k", value, 1);
    told_stored(out, SET);
    ask(in, GETK, "k", "");
    told_value(out, GETK, "k", value, 1);
    ask(in, APPENDQ, "k", value);
    ask(in, DELETE, "k", "");
    told(out, DELETE, 0, "", "", false);
    return false;
}

static bool too_large(struct buffer *in, struct buffer *out)
{
    static char value[(1 << 20) + 1];
    memset(value, 'v', sizeof value - 1);
    ask_store(in, SETQ, "k", value, 1);
    told_error(out, SETQ, 3);
    ask(in, GET, "k", "");
    told_error(out, GET, 1);
    return false;
}

static bool quit(struct buffer *in, struct buffer *out)
{
    ask(in, QUIT, "", "");
    told(out, QUIT, 0, "", "", false);
    ask(in, NOOP, "", "");
    return true;
}

static bool quiet_quit(struct buffer *in, struct buffer *out)
{
    ask(in, NOOP, "", "");
    told(out, NOOP, 0, "", "", false);
    ask(in, QUITQ, "", "");
    ask(in, NOOP, "", "");
    return true;
}

static bool a_wrong_magic(struct buffer *in, struct buffer *out)
{
    ask(in, NOOP, "", "");
    told(out, NOOP, 0, "", "", false);
    buffer_text(in, "get 012345678901234567890123456789\r\n");
    return true;
}

static bool a_key_too_long(struct buffer *in, struct buffer *out)
{
    ask(in, GETQ, K250 "k", "");
    told_error(out, GETQ, 4);
    return true;
}

static bool a_key_longer_than_the_body(struct buffer *in, struct buffer *out)
{
    put_request(in, APPEND, 10, 0, 9);
    buffer_text(in, "0123456789");
    told_error(out, APPEND, 0x81);
    return true;
}

static bool a_body_beyond_all_bounds(struct buffer *in, struct buffer *out)
{
    put_request(in, SETQ, 1, 8, 0xffffffe8);
    buffer_text(in, "12345678k");
    told_error(out, SETQ, 4);
    return true;
}

static bool extras_of_a_wrong_size(struct buffer *in, struct buffer *out)
{
    put_request(in, INCREMENT, 1, 255, 256);
    for (unsigned i = 0; i < 256; i++)
        buffer_text(in, "x");
    told_error(out, INCREMENT, 4);
    return true;
}

typedef bool (*exchange_fn)(struct buffer *in, struct buffer *out);
static const exchange_fn exchanges[] = {retrievals,
                                        storing,
                                        numbers,
                                        touches,
                                        the_server,
                                        unknown_opcodes,
                                        large_values,
                                        quit,
                                        quiet_quit,
                                        a_wrong_magic,
                                        a_key_too_long,
                                        a_key_longer_than_the_body,
                                        a_body_beyond_all_bounds,
                                        extras_of_a_wrong_size,
                                        too_large};
#define EXCHANGE_COUNT (int)(sizeof exchanges / sizeof *exchanges)

struct script {
    struct buffer in, out;
    bool closes;
};

static struct script script_make(int number)
{
    struct script script = {0};
    script.closes = exchanges[number](&script.in, &script.out);
    return script;
}

static void script_fini(struct script *script)
{
    buffer_fini(&script->in);
    buffer_fini(&script->out);
}

/* Sets each CAS that is not 0 to 1. */
static void cas_hide(char *reply, size_t size)
{
    for (size_t at = 0; at + 24 <= size;) {
        uint32_t body_size;
        uint64_t cas;
        memcpy(&body_size, reply + at + 8, sizeof body_size);
        memcpy(&cas, reply + at + 16, sizeof cas);
        cas = htobe64(cas != 0);
        memcpy(reply + at + 16, &cas, sizeof cas);
        at += 24 + (size_t)be32toh(body_size);
    }
}

/* Compares all that came since the connection was made. */
static void expect(struct fixture *f, const struct script *script, int number, size_t cut)
{
    cas_hide(f->reply.data, f->reply.size);
    ck_assert_msg(f->closed == script->closes, "exchange %d cut at %zu: closed %d", number, cut, f->closed);
    ck_assert_msg(
        f->reply.size == script->out.size && memcmp(f->reply.data, script->out.data, script->out.size) == 0,
        "exchange %d cut at %zu: %zu bytes came, %zu expected", number, cut, f->reply.size, script->out.size);
}

START_TEST(answers_a_whole_input)
{
    struct script script = script_make(_i);
    struct fixture *f = fixture_open(&roomy);
    fixture_feed(f, script.in.data, script.in.size, SIZE_MAX);
    expect(f, &script, _i, 0);
    fixture_close(f);
    script_fini(&script);
}
END_TEST

START_TEST(answers_the_same_when_cut_at_any_byte)
{
    struct script script = script_make(_i);
    for (size_t cut = 1; cut < script.in.size && cut < 4000; cut++) {
        struct fixture *f = fixture_open(&roomy);
        fixture_feed(f, script.in.data, cut, SIZE_MAX);
        if (!f->closed)
            fixture_feed(f, script.in.data + cut, script.in.size - cut, SIZE_MAX);
        expect(f, &script, _i, cut);
        fixture_close(f);
    }
    script_fini(&script);
}
END_TEST

START_TEST(answers_the_same_in_small_pieces_through_small_buffers)
{
    struct script script = script_make(_i);
    for (size_t piece = 1; piece < 40; piece += 1 + piece / 4) {
        struct fixture *f = fixture_open(&tight);
        fixture_feed(f, script.in.data, script.in.size, script.in.size > 100000 ? piece * 1000 : piece);
        expect(f, &script, _i, piece);
        ck_assert_uint_le(f->output_max, 1024 + 3000);
        fixture_close(f);
    }
    script_fini(&script);
}
END_TEST

/* ---- more than one exchange ---- */

START_TEST(fetches_a_pipeline_of_quiet_gets_in_batches)
{
    struct fixture *f = fixture_open(&roomy);
    struct script script = {0};
    for (unsigned i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%u", i);
        if (i % 3 == 0)
            ask_store(&script.in, SETQ, key, key, i);
    }
    for (unsigned i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%u", i);
        ask(&script.in, GETKQ, key, "");
        if (i % 3 == 0)
            told_value(&script.out, GETKQ, key, key, i);
    }
    ask(&script.in, NOOP, "", "");
    told(&script.out, NOOP, 0, "", "", false);
    fixture_feed(f, script.in.data, script.in.size, SIZE_MAX);
    expect(f, &script, 0, 0);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_hits), 100);
    ck_assert_uint_eq(fixture_metric(f, METRIC_get_misses), 200);
    fixture_close(f);
    script_fini(&script);
}
END_TEST

START_TEST(reads_expiries_without_a_sign)
{
    clock_freeze_for_test(100);
    ck_assert_uint_eq(protocol_expiry_unsigned(0), STORE_NEVER_S);
    ck_assert_uint_eq(protocol_expiry_unsigned(1), 101);
    ck_assert_uint_eq(protocol_expiry_unsigned(2592000), 2592100);
    ck_assert_uint_eq(protocol_expiry_unsigned(2592001), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry_unsigned(UINT32_MAX), clock_from_wall_s(UINT32_MAX));
}
END_TEST

/* Each frame of noise is answered or closes; the next connection is served. */
START_TEST(serves_on_behind_any_noise)
{
    struct fixture *f = fixture_open(&roomy);
    uint32_t random = 1;
    for (unsigned i = 0; i < 3000; i++) {
        char noise[64];
        for (size_t j = 0; j < sizeof noise; j++) {
            random = random * 1664525u + 1013904223u;
            noise[j] = (char)(random >> 24 & (j % 3 == 0 ? 0xff : 0x0f));
        }
        noise[0] = (char)0x80;
        fixture_connect(f);
        fixture_feed(f, noise, sizeof noise, 7);
    }
    fixture_connect(f);
    ck_assert_str_eq(fixture_ask(f, "get a\r\n"), "END\r\n");
    fixture_close(f);
}
END_TEST

int main(void)
{
    clock_init();
    clock_freeze_for_test(1000);
    Suite *suite = suite_create("protocol binary");
    TCase *table = tcase_create("exchanges");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, answers_a_whole_input, 0, EXCHANGE_COUNT);
    tcase_add_loop_test(table, answers_the_same_when_cut_at_any_byte, 0,
                        EXCHANGE_COUNT - 1); /* the last is long */
    tcase_add_loop_test(table, answers_the_same_in_small_pieces_through_small_buffers, 0, EXCHANGE_COUNT);
    suite_add_tcase(suite, table);
    TCase *others = tcase_create("others");
    tcase_set_timeout(others, 120);
    tcase_add_test(others, fetches_a_pipeline_of_quiet_gets_in_batches);
    tcase_add_test(others, reads_expiries_without_a_sign);
    tcase_add_test(others, serves_on_behind_any_noise);
    suite_add_tcase(suite, others);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
