/* What each line answers, however its bytes are cut: whole, at each byte boundary, byte by byte, and through
 * an input and an output that hold next to nothing. */
#include "protocol_exchanges.h"

#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50
#define BAD  "CLIENT_ERROR bad command line format\r\n"

static const struct exchange exchanges[] = {
    /* retrieval */
    {"get a\r\n", "END\r\n", false},
    {"set a 5 0 3\r\nabc\r\nget a\r\n", "STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\n", false},
    {"set a 5 0 3\r\nabc\r\nget  a   b a \r\n",
     "STORED\r\nVALUE a 5 3\r\nabc\r\nVALUE a 5 3\r\nabc\r\nEND\r\n", false},
    {"set a 0 0 0\r\n\r\nget a\n", "STORED\r\nVALUE a 0 0\r\n\r\nEND\r\n", false},
    {"get\r\n", BAD, false},
    {"get \r\n", BAD, false},
    {"get " K250 "\r\n", "END\r\n", false},
    {"get a " K250 "k b\r\nversion\r\n", BAD "VERSION 1.6.45 vitrine/" VITRINE_VERSION "\r\n", false},
    {"gat\r\ngat 0\r\ngat x a\r\n", BAD BAD "CLIENT_ERROR invalid exptime argument\r\n", false},
    {"set a 1 0 1\r\nx\r\ngat 10 a b\r\n", "STORED\r\nVALUE a 1 1\r\nx\r\nEND\r\n", false},
    {"set a 1 0 1\r\nx\r\ngat -1 a\r\nget a\r\n", "STORED\r\nVALUE a 1 1\r\nx\r\nEND\r\nEND\r\n", false},
    /* storage */
    {"set\r\nset a\r\nset a 0\r\nset a 0 0\r\nset a 0 0 x\r\nset a 0 0 -1\r\n", BAD BAD BAD BAD BAD BAD,
     false},
    {"set a 0 0 2147483647\r\nset a 0 0 4294967295\r\nset a 0 0 99999999999999999999\r\n", BAD BAD BAD,
     false},
    {"set a x 0 1\r\n1\r\nset a -1 0 1\r\n1\r\nset a 0 x 1\r\n1\r\n", BAD BAD BAD, false},
    {"set " K250 " 0 0 1\r\n1\r\nset " K250 "k 0 0 1\r\n1\r\n", "STORED\r\n" BAD, false},
    {"set a 0 0 1 noreply\r\n1\r\nget a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", false},
    {"set a 0 0 1 noreply  \r\n1\r\nset a 0 0 1 norepl\r\n1\r\n", "STORED\r\n", false},
    {"set a 0 0 1\r\n22\r\nget a\r\n", "CLIENT_ERROR bad data chunk\r\n" BAD "END\r\n", false},
    {"set a 0 0 3\r\n22\r\nx\r\nget a\r\n", "CLIENT_ERROR bad data chunk\r\n" BAD "END\r\n", false},
    {"set a 0 0 1 noreply\r\n22\r\nget a\r\n", BAD "END\r\n", false},
    {"cas a 0 0 1\r\n", "", false},
    {"cas a 0 0 1\r\n1\r\ncas a 0 0 1 x\r\n1\r\ncas a 0 0 1 1\r\n1\r\n", BAD BAD "NOT_FOUND\r\n", false},
    {"add a 0 0 1\r\n1\r\nadd a 0 0 1\r\n2\r\nreplace a 0 0 1\r\n3\r\nreplace b 0 0 1\r\n4\r\nget a b\r\n",
     "STORED\r\nNOT_STORED\r\nSTORED\r\nNOT_STORED\r\nVALUE a 0 1\r\n3\r\nEND\r\n", false},
    {"append a 0 0 1\r\n1\r\nset a 0 0 1\r\n2\r\nappend a 0 0 1\r\n3\r\nprepend a 0 0 1\r\n1\r\nget a\r\n",
     "NOT_STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\nVALUE a 0 3\r\n123\r\nEND\r\n", false},
    {"set a 0 0 7\r\nget b\r\n\r\nget a\r\n", "STORED\r\nVALUE a 0 7\r\nget b\r\n\r\nEND\r\n", false},
    /* others with a key */
    {"set a 0 0 1\r\n1\r\ndelete a\r\ndelete a\r\ndelete a 5\r\ndelete\r\ndelete " K250 "k\r\n",
     "STORED\r\nDELETED\r\nNOT_FOUND\r\nNOT_FOUND\r\n" BAD BAD, false},
    {"set a 0 0 1\r\n1\r\ndelete a noreply\r\ndelete a\r\n", "STORED\r\nNOT_FOUND\r\n", false},
    {"set a 0 0 2\r\n10\r\nincr a 1\r\ndecr a 2\r\nget a\r\nincr a 1 noreply\r\nincr b 1\r\n",
     "STORED\r\n11\r\n9\r\nVALUE a 0 2\r\n9 \r\nEND\r\nNOT_FOUND\r\n", false},
    {"incr\r\nincr a\r\nincr a x\r\nincr a -1\r\nincr a 18446744073709551616\r\nincr " K250 "k 1\r\n",
     BAD BAD "CLIENT_ERROR invalid numeric delta argument\r\nCLIENT_ERROR invalid numeric delta argument\r\n"
             "CLIENT_ERROR invalid numeric delta argument\r\n" BAD,
     false},
    {"set a 0 0 1\r\nx\r\nincr a 1\r\nset a 0 0 1\r\n5\r\nincr a 18446744073709551615\r\ndecr a 9\r\n",
     "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\nSTORED\r\n4\r\n0\r\n", false},
    {"touch\r\ntouch a\r\ntouch a 0\r\ntouch a x\r\n",
     BAD BAD "NOT_FOUND\r\nCLIENT_ERROR invalid exptime argument\r\n", false},
    {"set a 0 0 1\r\n1\r\ntouch a 10\r\ntouch a -1 noreply\r\nget a\r\n", "STORED\r\nTOUCHED\r\nEND\r\n",
     false},
    /* the server */
    {"flush_all\r\nflush_all 0\r\nflush_all x\r\nflush_all noreply\r\nflush_all 100 noreply\r\n",
     "OK\r\nOK\r\nCLIENT_ERROR invalid exptime argument\r\n", false},
    {"verbosity\r\nverbosity 1\r\nverbosity 1 noreply\r\nverbosity x\r\n", BAD "OK\r\n" BAD, false},
    {"version noreply\r\n", "VERSION 1.6.45 vitrine/" VITRINE_VERSION "\r\n", false},
    {"quit\r\nversion\r\n", "", true},
    {"quit now\r\n", "", true},
    {"stats nosuch\r\nstats reset\r\nstats detail\r\nstats sizes\r\n",
     "ERROR\r\nRESET\r\nCLIENT_ERROR usage: stats detail on|off|dump\r\nSTAT sizes_status "
     "disabled\r\nEND\r\n",
     false},
    {"lru mode\r\nlru temp_ttl\r\nlru\r\nstats maps\r\n", "ERROR\r\nERROR\r\nERROR\r\nERROR\r\n", false},
    {"slabs reassign -1 -1\r\nslabs reassign 1 200\r\nslabs automove window 67108864\r\n",
     "SAME src and dst class are identical\r\nBADCLASS invalid src or dst class id\r\nCLIENT_ERROR automove "
     "window too low or too high\r\n",
     false},
    /* what is no command */
    {"\r\n\n \n   \r\nx\r\n", BAD BAD BAD "ERROR\r\n" BAD, false},
    {"bogus\r\nGET a\r\nbogus noreply\r\n", "ERROR\r\nERROR\r\n", false},
    {"mx foo v v v v\r\n", "ERROR\r\n", false},
    {" get a\r\n", "ERROR\r\n", false},
    {"get a\r\nbogus\r\nset a 0 0 1\r\n1\r\nget a\r\ndelete a\r\n",
     "END\r\nERROR\r\nSTORED\r\nVALUE a 0 1\r\n1\r\nEND\r\nDELETED\r\n", false},
    /* HTTP */
    {"POST / HTTP/1.1\r\nversion\r\n", "", true},
    {"GET /x\r\nversion\r\n", "", true},
    {"bogus HTTP/1.0\r\nversion\r\n", "", true},
    /* TLS where there is none: its first record may have a line's end in it or not */
    {"\x16\x03\x01\x02", "", true},
    {"\x16\x03\x01\nversion\r\n", "", true},
    {"\x16", "", false},
    {"host: here\r\nversion\r\n", "", true},
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

/* ---- expiry ---- */

START_TEST(reads_expiries_as_memcached_does)
{
    clock_init();
    clock_freeze_for_test(100);
    ck_assert_uint_eq(protocol_expiry(0), STORE_NEVER_S);
    ck_assert_uint_eq(protocol_expiry(-1), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry(INT32_MIN), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry(1), 101);
    ck_assert_uint_eq(protocol_expiry(2592000), 2592100);
    ck_assert_uint_eq(protocol_expiry(2592001), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry(clock_wall_s(150)), 150);
    ck_assert_uint_eq(protocol_expiry(INT32_MAX), clock_from_wall_s(INT32_MAX));
    /* Beyond 32 bits the upper ones are cut off. */
    ck_assert_uint_eq(protocol_expiry(UINT32_MAX), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry(1ll << 31), STORE_EXPIRED_S);
    ck_assert_uint_eq(protocol_expiry((1ll << 32) + 1), 101);
    ck_assert_uint_eq(protocol_expiry(INT64_MIN), STORE_NEVER_S);
}
END_TEST

/* ---- lines without an end ---- */

static void feed_forever(struct fixture *f, char letter, size_t size)
{
    for (size_t i = 0; i < size && !f->closed; i++)
        fixture_feed(f, &letter, 1, 1);
}

START_TEST(closes_on_a_line_that_does_not_end)
{
    struct fixture *f = fixture_open(&exchange_roomy);
    feed_forever(f, 'a', 2048);
    ck_assert(!f->closed);
    feed_forever(f, 'a', 1);
    ck_assert(f->closed);
    ck_assert_str_eq(fixture_reply(f), "");
    fixture_connect(f);
    feed_forever(f, ' ', 65535);
    ck_assert(f->closed);
    fixture_close(f);
}
END_TEST

START_TEST(refuses_an_endless_key_and_goes_on_behind_its_line)
{
    struct fixture *f = fixture_open(&exchange_roomy);
    fixture_feed(f, "get ", 4, 4);
    for (unsigned i = 0; i < 20; i++) {
        char piece[10000];
        memset(piece, 'k', sizeof piece);
        fixture_feed(f, piece, sizeof piece, SIZE_MAX);
    }
    ck_assert(!f->closed);
    ck_assert_str_eq(fixture_reply(f), BAD);
    ck_assert_str_eq(fixture_ask(f, " x\r\nget a\r\n"), "END\r\n");
    fixture_close(f);
}
END_TEST

START_TEST(takes_keys_at_the_edge_of_a_full_input)
{
    struct fixture *f = fixture_open(&exchange_tight);
    ck_assert_str_eq(fixture_ask(f, "set " K250 " 0 0 1\r\nx\r\n"), "STORED\r\n");
    for (size_t pad = 1; pad < 400; pad++) {
        char line[2048];
        int size = snprintf(line, sizeof line, "get %*s" K250 " a " K250 "\r\n", (int)pad, "");
        f->reply.size = 0;
        fixture_feed(f, line, (size_t)size, SIZE_MAX);
        ck_assert_msg(
            strcmp(fixture_reply(f), "VALUE " K250 " 0 1\r\nx\r\nVALUE " K250 " 0 1\r\nx\r\nEND\r\n") == 0,
            "%zu: %s", pad, f->reply.data);
    }
    fixture_close(f);
}
END_TEST

int main(void)
{
    clock_init();
    clock_freeze_for_test(1000);
    int count = (int)(sizeof exchanges / sizeof *exchanges);
    Suite *suite = suite_create("protocol parse");
    TCase *table = tcase_create("exchanges");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, answers_a_whole_input, 0, count);
    tcase_add_loop_test(table, answers_the_same_when_cut_at_any_byte, 0, count);
    tcase_add_loop_test(table, answers_the_same_byte_by_byte, 0, count);
    tcase_add_loop_test(table, answers_the_same_through_small_buffers, 0, count);
    suite_add_tcase(suite, table);
    TCase *edges = tcase_create("edges");
    tcase_set_timeout(edges, 120);
    tcase_add_test(edges, reads_expiries_as_memcached_does);
    tcase_add_test(edges, closes_on_a_line_that_does_not_end);
    tcase_add_test(edges, refuses_an_endless_key_and_goes_on_behind_its_line);
    tcase_add_test(edges, takes_keys_at_the_edge_of_a_full_input);
    suite_add_tcase(suite, edges);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
