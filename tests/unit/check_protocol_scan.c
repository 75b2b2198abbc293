/* Looking for the end of a word: every length, the byte at every place, any other byte around it, and no byte
 * read outside of the text. */
#include "protocol/scan_priv.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_MAX_TRIED 300u

/* A page behind which nothing may be read. */
static char *page_before_guard(size_t *size)
{
    *size = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(pages, *size, PROT_READ | PROT_WRITE), 0);
    return pages;
}

static void check(const char *text, const char *end, const char *expected)
{
    ck_assert_ptr_eq(scan_either(text, end, ' ', '\n'), expected);
    ck_assert_ptr_eq(scan_words(text, end, ' ', '\n'), expected);
}

START_TEST(the_first_of_two_bytes_is_found_wherever_it_is)
{
    size_t page;
    char *end = page_before_guard(&page);
    end += page;
    memset(end - page, ' ', page); /* what lies before the text counts for nothing */
    for (unsigned size = 0; size <= SIZE_MAX_TRIED; size++) {
        char *text = end - size;
        memset(text, 'k', size);
        check(text, end, end);
        for (unsigned at = 0; at < size; at++) {
            text[at] = at % 2 ? ' ' : '\n';
            check(text, end, text + at);
            if (at + 1 < size) { /* the first of several */
                text[at + 1] = ' ';
                check(text, end, text + at);
                text[at + 1] = 'k';
            }
            text[at] = 'k';
        }
    }
}
END_TEST

START_TEST(no_other_byte_is_taken_for_one_of_them)
{
    size_t page;
    char *end = page_before_guard(&page);
    end += page;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (unsigned size = 1; size <= 40; size++) {
            char *text = end - size;
            bool wanted = byte == ' ' || byte == '\n';
            memset(text, (char)byte, size);
            check(text, end, wanted ? text : end);
            memset(text, 'k', size);
            text[size / 2] = (char)byte;
            check(text, end, wanted ? text + size / 2 : end);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol scan");
    TCase *tcase = tcase_create("scan");
    tcase_add_test(tcase, the_first_of_two_bytes_is_found_wherever_it_is);
    tcase_add_test(tcase, no_other_byte_is_taken_for_one_of_them);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
