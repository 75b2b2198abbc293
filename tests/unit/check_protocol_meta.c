/* Meta commands: what each line answers however its bytes are cut, times to live by a clock that stands
 * still, bodies and values of every size with flags to be answered behind them. */
#include "protocol_exchanges.h"

#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50
#define BAD  "CLIENT_ERROR bad command line format\r\n"

static const struct exchange exchanges[] = {
    {"mg a\r\nmg a v k O1\r\nmg a q\r\nmn\r\n", "EN\r\nEN ka O1\r\nMN\r\n", false},
    {"ms a 2\r\nhi\r\nmg a\r\nmg a v\r\nmg a s v t f c h l k O9\r\n",
     "HD\r\nHD\r\nVA 2\r\nhi\r\nVA 2 s2 t-1 f0 c2 h1 l0 ka O9\r\nhi\r\n", false},
    {"ms a 2 T50 F7\r\nhi\r\nmg a t f\r\nmg a t T100 v\r\nmg a t\r\n",
     "HD\r\nHD t50 f7\r\nVA 2 t50\r\nhi\r\nHD t100\r\n", false},
    {"mg a N30 t v\r\nmg a N90 v t\r\nms a 1 T7\r\nx\r\nmg a N90 v t\r\n",
     "VA 0 t30 W\r\n\r\nVA 0 t30 Z\r\n\r\nHD\r\nVA 1 t7\r\nx\r\n", false},
    {"mg a t N30 T9 t\r\nmg b N30 T9 t\r\nmg b t\r\nmg c T9 N30 t\r\nmg c t\r\n",
     "CLIENT_ERROR duplicate flag\r\nHD t9 W\r\nHD t9 Z\r\nHD t30 W\r\nHD t30 Z\r\n", false},
    {"ms a 1 T100\r\nx\r\nmg a R100 v\r\nmg a R101 v\r\nmg a R101 v\r\nmg a R50 t\r\n",
     "HD\r\nVA 1\r\nx\r\nVA 1 W\r\nx\r\nVA 1 Z\r\nx\r\nHD t100 Z\r\n", false},
    {"ms a 1 T100\r\nx\r\nmg a T300 R200\r\nmg a R301 T100 t\r\n", "HD\r\nHD\r\nHD t100 W\r\n", false},
    {"ms a 1 T100\r\nx\r\nmd a I T30\r\nmg a v t\r\nmg a v t\r\n",
     "HD\r\nHD\r\nVA 1 t30 X W\r\nx\r\nVA 1 t30 Z X\r\nx\r\n", false},
    {"ms a 1 T100 F3\r\nx\r\nmd a x T30 F4\r\nmg a v t f\r\n", "HD\r\nHD\r\nVA 0 t30 f4\r\n\r\n", false},
    {"ma n N30 J13 t\r\nma n T90 t v\r\nma n t\r\n", "HD t30\r\nVA 2 t90\r\n14\r\nHD t90\r\n", false},
    {"ma n N30 T60 t\r\nma m T60 N30 t\r\nmg n t\r\nmg m t\r\n", "HD t60\r\nHD t30\r\nHD t60\r\nHD t30\r\n",
     false},
    {"ms n 2 MA N30 s\r\nab\r\nms n 3 MP N60 s c\r\ncde\r\nmg n v t\r\n",
     "HD s2\r\nHD s5 c3\r\nVA 5 t30\r\ncdeab\r\n", false},
    {"ms a 2 E70 c\r\nhi\r\nms a 2 C70 c\r\nho\r\nmg a c v\r\nmg a C3 v\r\nmg a C4 v f\r\n",
     "HD c70\r\nHD c3\r\nVA 2 c3\r\nho\r\nHD\r\nVA 2 f0\r\nho\r\n", false},
    {"ms aGk= 1 b k\r\nx\r\nmg hi k v\r\nmg aGk= b k\r\nmg aGk= k\r\n",
     "HD kaGk= b\r\nVA 1 kaGk= b\r\nx\r\nHD kaGk= b\r\nEN kaGk=\r\n", false},
    {"ms " K250 " 1 k O1\r\nx\r\nmg " K250 " k v\r\n", "HD k" K250 " O1\r\nVA 1 k" K250 "\r\nx\r\n", false},
    {"mg " K250 "k\r\nms " K250 "k 1\r\nx\r\nma " K250 "k\r\nmd " K250 "k v\r\nme " K250 "k\r\nmn\r\n",
     BAD BAD BAD BAD BAD "MN\r\n", false},
    {"mg\r\nms\r\nmd\r\nma\r\nme\r\nmg \r\nms a\r\nms a x\r\nms a 1 z\r\nx\r\nms a 1 MX q\r\nx\r\n",
     BAD BAD BAD BAD BAD BAD BAD BAD
     "CLIENT_ERROR invalid flag\r\nCLIENT_ERROR invalid mode for ms M token\r\n",
     false},
    {"ms a 2\r\nhix\r\nmn\r\nms a 2 q\r\nxxxx\r\nmn\r\nmg a\r\n",
     "CLIENT_ERROR bad data chunk\r\n" BAD "MN\r\nCLIENT_ERROR bad data chunk\r\n" BAD "MN\r\nEN\r\n", false},
    {"ms a 9999999 q\r\nmn\r\n", "SERVER_ERROR object too large for cache\r\n", false},
    {"ms a 1 q\r\nx\r\nms a 1 q ME\r\ny\r\nma a q\r\nmd a q\r\nmd a q\r\nmg a q\r\nmg a q v\r\nmn\r\n",
     "NS\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\nNF\r\nMN\r\n", false},
    {"ms a 2 F3\r\nhi\r\nget a\r\ngets a\r\nme a\r\nmg a v\nmn\n",
     "HD\r\nVALUE a 3 2\r\nhi\r\nEND\r\nVALUE a 3 2 2\r\nhi\r\nEND\r\nME a exp=-1 la=0 cas=2 fetch=yes cls=1 "
     "size=19\r\nVA 2\r\nhi\r\n" BAD,
     false},
    {"ms a 1 T100\r\nx\r\nme a\r\nms YQ== 1 b\r\ny\r\nme a\r\nme YQ== b\r\n",
     "HD\r\nME a exp=100 la=0 cas=2 fetch=no cls=1 size=18\r\nHD\r\nME YQ== exp=-1 la=0 cas=3 fetch=no cls=1 "
     "size=18\r\nEN\r\n",
     false},
    {"mg a b\xff\r\nmg a \xff\r\nmg \xff\r\n",
     "CLIENT_ERROR error decoding key\r\nCLIENT_ERROR bad command line format\r\nEN\r\n", false},
    /* client flags of 32 bits; what else is wrong has the word */
    {"ms a 1 F4294967296\r\nx\r\nms ! 1 b F1x\r\nx\r\nms ! 1 F1x b\r\nx\r\nms a 1 F4294967295\r\nx\r\nmg a "
     "f\r\n",
     "CLIENT_ERROR bad command line format\r\nCLIENT_ERROR error decoding key\r\nCLIENT_ERROR error decoding "
     "key\r\nHD\r\nHD f4294967295\r\n",
     false},
};

START_TEST(answers_a_whole_input)
{
    exchange_whole(&exchanges[_i]);
}
END_TEST

START_TEST(answers_the_same_when_cut_at_any_byte)
{
    exchange_cut_anywhere(&exchanges[_i]);
}
END_TEST

START_TEST(answers_the_same_byte_by_byte)
{
    exchange_byte_by_byte(&exchanges[_i]);
}
END_TEST

START_TEST(answers_the_same_through_small_buffers)
{
    exchange_through_small_buffers(&exchanges[_i]);
}
END_TEST

/* ---- time ---- */

START_TEST(tells_what_is_left_and_how_long_ago)
{
    struct fixture *f = fixture_open(&exchange_roomy);
    ck_assert_str_eq(fixture_ask(f, "ms a 1 T500\r\nx\r\nmg a\r\n"), "HD\r\nHD\r\n");
    clock_freeze_for_test(1200);
    ck_assert_str_eq(
        fixture_ask(f, "mg a t l u\r\nmg a t l\r\nmg a l\r\nme a\r\n"),
        "HD t300 l200\r\nHD t300 l200\r\nHD l0\r\nME a exp=300 la=0 cas=2 fetch=yes cls=1 size=18\r\n");
    clock_freeze_for_test(1500);
    ck_assert_str_eq(fixture_ask(f, "mg a t\r\nmg a N9 t\r\n"), "EN\r\nHD t9 W\r\n");
    fixture_close(f);
}
END_TEST

/* ---- sizes ---- */

static const size_t sizes[] = {0, 1, 1000, 16384, 16385, 65530, 65536, 300000, 1000000};

/* A request whose body is received apart is held with its key and its flags. */
START_TEST(stores_bodies_of_any_size_and_answers_what_was_asked)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){16 << 20, 65536, 65536, false});
    char line[128], want[128], *body = fixture_body(sizes[_i]);
    static const size_t pieces[] = {1448, 65536};
    for (unsigned i = 0; i < 2; i++) {
        int size = snprintf(line, sizeof line, "ms AAEC %zu k O77 b s F5 T90\r\n", sizes[_i]);
        f->reply.size = 0;
        fixture_feed(f, line, (size_t)size, SIZE_MAX);
        fixture_feed(f, body, sizes[_i] + 2, pieces[i]);
        snprintf(want, sizeof want, "HD kAAEC b O77 s%zu\r\n", sizes[_i]);
        ck_assert_str_eq(fixture_reply(f), want);
        const char *reply = fixture_ask(f, "mg AAEC b v t f k O1\r\n");
        int head = snprintf(want, sizeof want, "VA %zu t90 f5 kAAEC b O1\r\n", sizes[_i]);
        ck_assert_int_eq(strncmp(reply, want, (size_t)head), 0);
        ck_assert_int_eq(memcmp(reply + head, body, sizes[_i] + 2), 0);
    }
    free(body);
    fixture_close(f);
}
END_TEST

/* A value that fits no output is pinned, or goes out in pieces: once, with its lease. */
START_TEST(sends_values_of_any_size_once_with_their_lease)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){16 << 20, 65536, 1024, false});
    char line[64], want[64], *body = fixture_body(sizes[_i]);
    int size = snprintf(line, sizeof line, "ms k %zu\r\n", sizes[_i]);
    fixture_feed(f, line, (size_t)size, SIZE_MAX);
    fixture_feed(f, body, sizes[_i] + 2, SIZE_MAX);
    ck_assert_str_eq(fixture_reply(f), "HD\r\n");
    ck_assert_str_eq(fixture_ask(f, "md k I\r\n"), "HD\r\n");
    const char *reply = fixture_ask(f, "mg k v\r\nmg k v\r\nmn\r\n");
    for (unsigned i = 0; i < 2; i++) {
        int head = snprintf(want, sizeof want, "VA %zu %s\r\n", sizes[_i], i == 0 ? "X W" : "Z X");
        ck_assert_msg(strncmp(reply, want, (size_t)head) == 0, "%.40s", reply);
        reply += head;
        ck_assert_int_eq(memcmp(reply, body, sizes[_i] + 2), 0);
        reply += sizes[_i] + 2;
    }
    ck_assert_str_eq(reply, "MN\r\n");
    free(body);
    fixture_close(f);
}
END_TEST

/* More keys in base64 than a batch takes, through a small output: each is decoded where it belongs. */
START_TEST(keeps_apart_the_decoded_keys_of_a_batch)
{
    struct fixture *f = fixture_open(&(struct fixture_sizes){4 << 20, 65536, 1024, false});
    char *input = malloc(20000), *want = malloc(20000);
    size_t in = 0, out = 0;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (unsigned i = 0; i < 150; i++) {
        char key[5] = {'A', 'A', digits[i / 62], digits[i % 62], 0};
        in += (size_t)sprintf(input + in, "ms %s 4 b\r\n%s\r\n", key, key);
        out += (size_t)sprintf(want + out, "HD\r\n");
    }
    for (unsigned i = 0; i < 150; i++) {
        char key[5] = {'A', 'A', digits[i / 62], digits[i % 62], 0};
        in += (size_t)sprintf(input + in, "mg %s b k v\r\n", key);
        out += (size_t)sprintf(want + out, "VA 4 k%s b\r\n%s\r\n", key, key);
    }
    ck_assert_str_eq(fixture_ask(f, input), want);
    free(input);
    free(want);
    fixture_close(f);
}
END_TEST

START_TEST(a_value_refused_as_too_large_removes_the_old_one)
{
    struct fixture *f = fixture_open(&exchange_roomy);
    fixture_ask(f, "set a 0 0 1\r\nx\r\n");
    ck_assert_str_eq(fixture_ask(f, "ms a 9999999 MA q\r\n"), "SERVER_ERROR object too large for cache\r\n");
    fixture_connect(f);
    ck_assert_str_eq(fixture_ask(f, "mg a\r\n"), "EN\r\n");
    fixture_close(f);
}
END_TEST

int main(void)
{
    clock_init();
    clock_freeze_for_test(1000);
    int count = (int)(sizeof exchanges / sizeof *exchanges), size_count = (int)(sizeof sizes / sizeof *sizes);
    Suite *suite = suite_create("protocol meta");
    TCase *table = tcase_create("exchanges");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, answers_a_whole_input, 0, count);
    tcase_add_loop_test(table, answers_the_same_when_cut_at_any_byte, 0, count);
    tcase_add_loop_test(table, answers_the_same_byte_by_byte, 0, count);
    tcase_add_loop_test(table, answers_the_same_through_small_buffers, 0, count);
    suite_add_tcase(suite, table);
    TCase *others = tcase_create("others");
    tcase_set_timeout(others, 120);
    tcase_add_test(others, tells_what_is_left_and_how_long_ago);
    tcase_add_loop_test(others, stores_bodies_of_any_size_and_answers_what_was_asked, 0, size_count);
    tcase_add_loop_test(others, sends_values_of_any_size_once_with_their_lease, 0, size_count);
    tcase_add_test(others, keeps_apart_the_decoded_keys_of_a_batch);
    tcase_add_test(others, a_value_refused_as_too_large_removes_the_old_one);
    suite_add_tcase(suite, others);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
