/* Copies: every size, where the memory ends with what may be touched, and nothing beside it written. */
#include "base/bytes.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_MAX_TRIED 300u

/* Memory of one page of which the one before and the one behind cannot be touched. */
static char *guarded_page(size_t *size)
{
    *size = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 3 * *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + *size, *size, PROT_READ | PROT_WRITE), 0);
    return pages + *size;
}

START_TEST(every_size_is_copied_and_nothing_else)
{
    char from[SIZE_MAX_TRIED], to[SIZE_MAX_TRIED + 2];
    for (unsigned i = 0; i < SIZE_MAX_TRIED; i++)
        from[i] = (char)(i * 7 + i / 256 + 1);
    for (unsigned size = 0; size <= SIZE_MAX_TRIED; size++) {
        memset(to, 0, sizeof to);
        ck_assert_ptr_eq(bytes_put(to + 1, from, size), to + 1 + size);
        ck_assert(memcmp(to + 1, from, size) == 0);
        ck_assert_int_eq(to[0], 0);
        ck_assert_int_eq(to[1 + size], 0);
    }
}
END_TEST

/* Begins and ends anywhere within a line, in either place. */
START_TEST(far_copies_are_of_every_byte_and_nothing_else)
{
    char from[SIZE_MAX_TRIED + 64], to[SIZE_MAX_TRIED + 64 + 2];
    for (unsigned i = 0; i < sizeof from; i++)
        from[i] = (char)(i * 7 + i / 256 + 1);
    for (unsigned size = 0; size <= SIZE_MAX_TRIED; size++) {
        unsigned shift = size * 5 % 64;
        memset(to, 0, sizeof to);
        bytes_put_far(to + 1 + shift, from + size % 64, size);
        ck_assert(memcmp(to + 1 + shift, from + size % 64, size) == 0);
        ck_assert_int_eq(to[shift], 0);
        ck_assert_int_eq(to[1 + shift + size], 0);
    }
}
END_TEST

START_TEST(memory_is_touched_to_its_edges_only)
{
    size_t page;
    char *from = guarded_page(&page), *to = guarded_page(&page);
    memset(from, 'x', page);
    for (unsigned size = 0; size <= SIZE_MAX_TRIED; size++) {
        bytes_put(to + page - size, from, size);
        bytes_put(to, from + page - size, size);
        bytes_put_far(to + page - size, from, size);
        bytes_put_far(to, from + page - size, size);
    }
    ck_assert_int_eq(to[0], 'x');
    ck_assert_int_eq(to[page - 1], 'x');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base bytes");
    TCase *tcase = tcase_create("bytes");
    tcase_add_test(tcase, every_size_is_copied_and_nothing_else);
    tcase_add_test(tcase, far_copies_are_of_every_byte_and_nothing_else);
    tcase_add_test(tcase, memory_is_touched_to_its_edges_only);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
