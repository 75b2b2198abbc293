/* The layout of an item: every combination of optional words reads back what was written. */
#include "store/item_priv.h"

#include <check.h>
#include <stdlib.h>

START_TEST(shape_holds_the_largest_sizes_and_sequences)
{
    uint64_t seq = ITEM_SEQ_MASK - 5;
    struct item item = {.shape = item_shape(250, 0xfffff, seq), .seq_low = (uint32_t)seq};
    ck_assert_uint_eq(item_key_size(&item), 250);
    ck_assert_uint_eq(item_inline_size(&item), 0xfffff);
    ck_assert_uint_eq(item_seq(&item), seq);
}
END_TEST

START_TEST(optional_words_move_the_key_and_nothing_else)
{
    _Alignas(8) char memory[256];
    for (unsigned i = 0; i < 8; i++) {
        unsigned flags = (i & 3) | ((i & 4) ? ITEM_CAS : 0);
        uint64_t cas = 0x123456789abcdef0;
        struct item *item = (struct item *)memory;
        uint32_t client_flags = 0xdeadbeef;
        item->shape = item_shape(3, 5, 1);
        item->seq_low = 1;
        atomic_store(&item->state, 7u << 8 | flags);
        if (flags & ITEM_EXP)
            atomic_store(item_expiry_word(item), 1234u);
        if (flags & ITEM_CFLAGS)
            memcpy(memory + item_head_size(flags) - 4, &client_flags, 4);
        if (flags & ITEM_CAS)
            memcpy(item_cas_word(item, flags), &cas, sizeof cas);
        memcpy(item_key(item), "keyvalue", 8);
        ck_assert_uint_eq(item_cas(item), (flags & ITEM_CAS) ? cas : 1u);
        ck_assert_uint_eq(item_expiry_s(item), (flags & ITEM_EXP) ? 1234u : 0u);
        ck_assert_uint_eq(item_client_flags(item), (flags & ITEM_CFLAGS) ? client_flags : 0u);
        ck_assert_mem_eq(item_inline_value(item), "value", 5);
        ck_assert_uint_eq(item_record_size(item) % ITEM_ALIGN, 0);
        ck_assert_uint_ge(item_record_size(item), item_head_size(flags) + 8);
        ck_assert_uint_lt(item_record_size(item), item_head_size(flags) + 16);
    }
}
END_TEST

START_TEST(sequences_are_compared_across_the_wrap)
{
    ck_assert(item_seq_before(1, 2));
    ck_assert(!item_seq_before(2, 2));
    ck_assert(!item_seq_before(3, 2));
    ck_assert(item_seq_before(ITEM_SEQ_MASK, 5));
    ck_assert(!item_seq_before(5, ITEM_SEQ_MASK));
}
END_TEST

START_TEST(access_time_is_told_right_across_the_wrap_of_its_24_bits)
{
    struct item item = {0};
    uint32_t then_s = ITEM_ACCESS_MASK - 10, now_s = ITEM_ACCESS_MASK + 50;
    atomic_store(&item.state, (then_s & ITEM_ACCESS_MASK) << 8);
    ck_assert_uint_eq(item_access_s(&item, now_s), then_s);
}
END_TEST

START_TEST(a_location_holds_the_highest_segment_and_offset)
{
    uint64_t location = location_make((1u << 24) - 1, (1u << 20) - 4);
    ck_assert_uint_eq(location_segment(location), (1u << 24) - 1);
    ck_assert_uint_eq(location_offset(location), (1u << 20) - 4);
    ck_assert_uint_eq(location & ~LOCATION_MASK, 0);
    uint64_t chunk = chunk_make(location, (1u << 18) - 3);
    ck_assert_uint_eq(chunk & LOCATION_MASK, location);
    ck_assert_uint_eq(chunk_size_max(chunk), 1u << 18);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store item");
    TCase *tcase = tcase_create("item");
    tcase_add_test(tcase, shape_holds_the_largest_sizes_and_sequences);
    tcase_add_test(tcase, optional_words_move_the_key_and_nothing_else);
    tcase_add_test(tcase, sequences_are_compared_across_the_wrap);
    tcase_add_test(tcase, access_time_is_told_right_across_the_wrap_of_its_24_bits);
    tcase_add_test(tcase, a_location_holds_the_highest_segment_and_offset);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
