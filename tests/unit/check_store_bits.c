/* The set of numbers that gives its lowest, against a plain array. */
#include "store/bits.h"

#include <check.h>
#include <stdlib.h>

static void check_lowest_against_model(uint32_t count, unsigned steps)
{
    struct bits bits;
    unsigned char *model = calloc(count, 1);
    uint64_t state = count;
    ck_assert(bits_init(&bits, count));
    ck_assert_uint_eq(bits_lowest(&bits), BITS_NONE);
    for (unsigned i = 0; i < steps; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t number = (uint32_t)(state >> 33) % count, lowest = 0;
        model[number] ^= 1;
        if (model[number])
            bits_set(&bits, number);
        else
            bits_clear(&bits, number);
        ck_assert_int_eq(bits_has(&bits, number), model[number]);
        while (lowest < count && !model[lowest])
            lowest++;
        ck_assert_uint_eq(bits_lowest(&bits), lowest < count ? lowest : BITS_NONE);
    }
    free(model);
    bits_fini(&bits);
}

START_TEST(the_lowest_number_is_that_of_a_plain_array)
{
    static const uint32_t counts[] = {1, 2, 63, 64, 65, 4096, 4097, 20000};
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++)
        check_lowest_against_model(counts[i], 3000);
}
END_TEST

START_TEST(numbers_of_32_bits_take_address_space_but_no_memory)
{
    struct bits bits;
    ck_assert(bits_init(&bits, UINT32_MAX));
    bits_set(&bits, UINT32_MAX - 1);
    ck_assert_uint_eq(bits_lowest(&bits), UINT32_MAX - 1);
    bits_set(&bits, 7);
    ck_assert_uint_eq(bits_lowest(&bits), 7);
    bits_clear(&bits, 7);
    ck_assert_uint_eq(bits_lowest(&bits), UINT32_MAX - 1);
    bits_fini(&bits);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store bits");
    TCase *tcase = tcase_create("bits");
    tcase_add_test(tcase, the_lowest_number_is_that_of_a_plain_array);
    tcase_add_test(tcase, numbers_of_32_bits_take_address_space_but_no_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
