/* The options table and what is made of it: defaults, the command line, the file, changes while running. */
#include "base/log.h"
#include "config/config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16

static struct settings settings;

/* Loads a command line given as one string, its words apart by one space. Standard error is put aside. */
static enum config_action load(const char *line)
{
    static char copy[1024];
    char *words[ARGUMENTS_MAX + 1] = {0}, *rest = copy;
    int count = 0;
    snprintf(copy, sizeof copy, "vitrine%s%s", *line ? " " : "", line);
    for (char *word; count < ARGUMENTS_MAX && (word = strsep(&rest, " ")) != NULL;)
        words[count++] = word;
    int before = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    enum config_action action = config_load(&settings, count, words);
    dup2(before, STDERR_FILENO);
    close(before);
    close(null);
    return action;
}

static void unload(void)
{
    settings_fini(&settings);
}

static const char *stat_value(const char *name)
{
    static char value[256];
    for (unsigned i = 0; i < option_count(); i++) {
        if (option_row(i)->stat && strcmp(option_row(i)->stat, name) == 0) {
            option_value(&settings, i, value, sizeof value);
            return value;
        }
    }
    return "(no such row)";
}

START_TEST(every_row_can_be_found_by_its_name_and_says_what_it_does)
{
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option_row *row = option_row(i);
        ck_assert_int_eq(option_find(row->name), (int)i);
        ck_assert(row->text[0] != '\0' && row->text[strlen(row->text) - 1] != '.');
        ck_assert_ptr_nonnull(row->group);
        ck_assert(row->min <= row->max);
    }
    ck_assert_int_eq(option_find("no-such-option"), -1);
}
END_TEST

START_TEST(no_letter_and_no_name_is_given_twice)
{
    for (unsigned i = 0; i < option_count(); i++)
        for (unsigned j = i + 1; j < option_count(); j++) {
            ck_assert(!option_row(i)->letter || option_row(i)->letter != option_row(j)->letter);
            ck_assert_str_ne(option_row(i)->name, option_row(j)->name);
        }
}
END_TEST

START_TEST(the_defaults_are_those_of_the_rows)
{
    ck_assert_int_eq(load(""), CONFIG_RUN);
    ck_assert_uint_eq(settings_u64(&settings, port), 11211);
    ck_assert_uint_eq(settings_u64(&settings, memory_limit), 64);
    ck_assert_uint_eq(settings_u64(&settings, unix_mask), 0700);
    ck_assert_uint_eq(settings_u64(&settings, item_size_max), 1 << 20);
    ck_assert_str_eq(settings.listen, "127.0.0.1");
    ck_assert(settings_on(&settings, maxconns_fast));
    ck_assert(!settings_on(&settings, no_eviction));
    ck_assert_uint_ge(settings_u64(&settings, threads), 1);
    ck_assert_ptr_null(settings.unix_socket);
    unload();
}
END_TEST

START_TEST(letters_bundle_and_long_names_take_both_forms)
{
    ck_assert_int_eq(load("-vvdm 128 --port=1234 --conn-limit 9 -R5"), CONFIG_RUN);
    ck_assert_uint_eq(settings_u64(&settings, verbose), 2);
    ck_assert(settings_on(&settings, daemon));
    ck_assert_uint_eq(settings_u64(&settings, memory_limit), 128);
    ck_assert_uint_eq(settings_u64(&settings, port), 1234);
    ck_assert_uint_eq(settings_u64(&settings, connection_limit), 9);
    ck_assert_uint_eq(settings_u64(&settings, requests_per_event), 5);
    unload();
}
END_TEST

START_TEST(a_list_adds_up_and_replaces_its_default)
{
    ck_assert_int_eq(load("-l 10.0.0.1 -l [::1]:5,10.0.0.2"), CONFIG_RUN);
    ck_assert_str_eq(settings.listen, "10.0.0.1,[::1]:5,10.0.0.2");
    unload();
}
END_TEST

static const struct {
    const char *text;
    uint64_t size;
} sizes[] = {{"1k", 1024}, {"1024", 1024}, {"512K", 512 << 10}, {"2m", 2 << 20}, {"16M", 16 << 20}};

START_TEST(sizes_take_their_suffixes)
{
    char line[64];
    snprintf(line, sizeof line, "-I %s", sizes[_i].text);
    ck_assert_int_eq(load(line), CONFIG_RUN);
    ck_assert_uint_eq(settings_u64(&settings, item_size_max), sizes[_i].size);
    unload();
}
END_TEST

static const char *const refused[] = {"-p",
                                      "-p 65536",
                                      "-p -1",
                                      "-p 1x",
                                      "-m 0",
                                      "-m 99999999999999999999",
                                      "-t 0",
                                      "-t -1",
                                      "-c 0",
                                      "-R 0",
                                      "-I 1023",
                                      "-I 1025m",
                                      "-I 1mm",
                                      "-I m",
                                      "-I 33m",
                                      "-a 8",
                                      "-a 7777777",
                                      "-B sasl",
                                      "-B tls",
                                      "-D ::",
                                      "-S",
                                      "-Z",
                                      "-Y x -U 11211",
                                      "-Y x -B auto",
                                      "-o bogus",
                                      "-o ssl_key",
                                      "-y",
                                      "--no-such=1",
                                      "word",
                                      "--daemon=yep",
                                      "-o no_idle_timeout",
                                      "-p 0",
                                      "-s ",
                                      "-l ",
                                      "--config /no/such/file",
                                      "-o hashpower",
                                      "-o idle_timeout=x",
                                      "--config",
                                      "--help=1",
                                      "-o ssl_verify_mode=4",
                                      "-o ssl_min_version=4",
                                      "-o ssl_keyformat=3",
                                      "-Z -p 0 -o ssl_chain_cert=x"};

START_TEST(what_is_wrong_is_refused)
{
    ck_assert_msg(load(refused[_i]) == CONFIG_EXIT_USAGE, "%s", refused[_i]);
    unload();
}
END_TEST

static const char *const unused[] = {
    "-f 1.25",
    "-n 48",
    "-N 1",
    "--logfile=/tmp/x",
    "-o ",
    "-o modern,",
    "-o slab_automove",
    "-o no_slab_automove",
    "-o slab_automove=2,slab_reassign,no_hashexpand",
    "-o hot_lru_pct=40,warm_lru_pct=40",
    "-o slab_sizes=100-200-300",
    "-o hash_algorithm=murmur3",
    "-o ext_path=/tmp/x:1G -o ext_path=/tmp/y:1G",
    "-o hot_max_factor=.5,warm_max_factor=3",
    "-o resp_obj_mem_limit",
};

START_TEST(what_has_no_meaning_here_is_accepted)
{
    ck_assert_msg(load(unused[_i]) == CONFIG_RUN, "%s", unused[_i]);
    unload();
}
END_TEST

static const char *const unused_wrong[] = {
    "-f 1",
    "-f 1.0",
    "-f 1.25x",
    "-f 1.2.5",
    "-f .",
    "-f -2",
    "-n 0",
    "-N 0",
    "-t 2 -N 3",
    "-o ,",
    "-o lru_segmented",
    "-o no_hot_lru_pct",
    "-o hot_lru_pct",
    "-o hot_lru_pct=80",
    "-o hot_lru_pct=50,warm_lru_pct=31",
    "-o slab_automove=3",
    "-o slab_automove_ratio=0",
    "-o slab_automove_ratio=1.001",
    "-o slab_automove_window=2",
    "-o tail_repair_time=9",
    "-o hashpower=11",
    "-o hashpower=33",
    "-o hash_algorithm",
    "-o hash_algorithm=",
    "-o hash_algorithm=murmur",
    "-o lru_crawler_sleep=1000001",
    "-o lru_crawler_tocrawl=4294967296",
    "-o slab_sizes=200-100",
    "-o slab_sizes=abc",
    "-o slab_sizes=100-",
    "-o no_lru_maintainer,temporary_ttl=1",
    "-o ext_path",
    "-o ext_wbuf_size=x",
};

START_TEST(what_has_no_meaning_here_is_checked_all_the_same)
{
    ck_assert_msg(load(unused_wrong[_i]) == CONFIG_EXIT_USAGE, "%s", unused_wrong[_i]);
    unload();
}
END_TEST

START_TEST(more_threads_than_there_can_be_are_as_many_as_there_can_be)
{
    ck_assert_int_eq(load("-t 65"), CONFIG_RUN);
    ck_assert_uint_eq(settings_u64(&settings, threads), 64);
    unload();
}
END_TEST

START_TEST(no_modern_tells_too_many_connections_to_wait)
{
    ck_assert_int_eq(load("-o no_modern"), CONFIG_RUN);
    ck_assert(!settings_on(&settings, maxconns_fast));
    unload();
    ck_assert_int_eq(load("-o no_modern,maxconns_fast"), CONFIG_RUN);
    ck_assert(settings_on(&settings, maxconns_fast));
    unload();
}
END_TEST

START_TEST(no_line_of_stats_settings_comes_twice)
{
    char value[256];
    const char *name;
    ck_assert_int_eq(load(""), CONFIG_RUN);
    for (unsigned i = 0; (name = settings_stat(&settings, i, value, sizeof value)) != NULL; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_str_ne(settings_stat(&settings, j, value, sizeof value), name);
    unload();
}
END_TEST

START_TEST(fractions_and_sizes_are_told_as_memcached_tells_them)
{
    ck_assert_int_eq(load("-f 1.5 -o slab_chunk_max=256,slab_automove_freeratio=.0256,read_buf_mem_limit=3"),
                     CONFIG_RUN);
    ck_assert_str_eq(stat_value("growth_factor"), "1.50");
    ck_assert_str_eq(stat_value("slab_chunk_max"), "262144");
    ck_assert_str_eq(stat_value("slab_automove_freeratio"), "0.025");
    ck_assert_str_eq(stat_value("read_buf_mem_limit"), "3145728");
    ck_assert_str_eq(stat_value("hot_max_factor"), "0.20");
    unload();
}
END_TEST

START_TEST(the_default_item_size_gives_way_to_a_small_memory)
{
    ck_assert_int_eq(load("-m 1"), CONFIG_RUN);
    ck_assert_uint_eq(settings_u64(&settings, item_size_max), 512 << 10);
    unload();
}
END_TEST

START_TEST(settings_print_as_memcacheds)
{
    ck_assert_int_eq(load("-m 100 -M -F -C -A -s /tmp/x -a 770 -o no_maxconns_fast,track_sizes"), CONFIG_RUN);
    ck_assert_str_eq(stat_value("maxbytes"), "104857600");
    ck_assert_str_eq(stat_value("evictions"), "off");
    ck_assert_str_eq(stat_value("flush_enabled"), "no");
    ck_assert_str_eq(stat_value("dump_enabled"), "yes");
    ck_assert_str_eq(stat_value("cas_enabled"), "no");
    ck_assert_str_eq(stat_value("shutdown_command"), "yes");
    ck_assert_str_eq(stat_value("domain_socket"), "/tmp/x");
    ck_assert_str_eq(stat_value("umask"), "770");
    ck_assert_str_eq(stat_value("maxconns_fast"), "no");
    ck_assert_str_eq(stat_value("track_sizes"), "yes");
    unload();
}
END_TEST

START_TEST(the_admin_reads_a_value_as_one_writes_it)
{
    char text[64];
    ck_assert_int_eq(load("-m 100 -M"), CONFIG_RUN);
    option_text(&settings, (unsigned)option_find("memory-limit"), text, sizeof text);
    ck_assert_str_eq(text, "100");
    option_text(&settings, (unsigned)option_find("disable-evictions"), text, sizeof text);
    ck_assert_str_eq(text, "yes");
    option_text(&settings, (unsigned)option_find("unix-socket"), text, sizeof text);
    ck_assert_str_eq(text, "");
    unload();
}
END_TEST

START_TEST(a_running_server_takes_what_may_change_and_no_more)
{
    char error[256];
    ck_assert_int_eq(load(""), CONFIG_RUN);
    ck_assert(settings_change(&settings, "memory-limit", "256", error, sizeof error));
    ck_assert_uint_eq(settings_u64(&settings, memory_limit), 256);
    ck_assert(settings_change(&settings, "idle_timeout", "30", error, sizeof error));
    ck_assert(settings_change(&settings, "verbose", "2", error, sizeof error));
    ck_assert(settings_change(&settings, "detail", "yes", error, sizeof error));
    ck_assert(settings_on(&settings, detail));
    ck_assert(!settings_change(&settings, "port", "1", error, sizeof error));
    ck_assert_str_eq(error, "cannot be changed while running: restart with --port");
    ck_assert(!settings_change(&settings, "memory-limit", "0", error, sizeof error));
    ck_assert_str_eq(error, "must be a number from 1 to 16777216 MiB");
    ck_assert(!settings_change(&settings, "memory-limit", "", error, sizeof error));
    ck_assert(!settings_change(&settings, "detail", "perhaps", error, sizeof error));
    ck_assert(!settings_change(&settings, "nonsense", "1", error, sizeof error));
    ck_assert_uint_eq(settings_u64(&settings, memory_limit), 256);
    unload();
}
END_TEST

START_TEST(the_command_line_outranks_the_file_wherever_it_stands)
{
    char path[] = "/tmp/vitrine-options-XXXXXX", line[128];
    static const char text[] = "-m 32 # comment\nthreads = 2\n-l 10.0.0.1\nlisten 10.0.0.2\n-v\n\n#-c 1\n"
                               "idle_timeout=4\ndetail\n";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    snprintf(line, sizeof line, "-m 48 --config %s -vv", path);
    ck_assert_int_eq(load(line), CONFIG_RUN);
    unlink(path);
    ck_assert_uint_eq(settings_u64(&settings, memory_limit), 48);
    ck_assert_uint_eq(settings_u64(&settings, threads), 2);
    ck_assert_uint_eq(settings_u64(&settings, verbose), 2);
    ck_assert_uint_eq(settings_u64(&settings, connection_limit), 1024);
    ck_assert_uint_eq(settings_u64(&settings, idle_timeout), 4);
    ck_assert_str_eq(settings.listen, "10.0.0.1,10.0.0.2");
    ck_assert(settings_on(&settings, detail));
    ck_assert_uint_eq(settings.source[OPTION_memory_limit], OPTION_SOURCE_COMMAND_LINE);
    ck_assert_uint_eq(settings.source[OPTION_threads], OPTION_SOURCE_FILE);
    ck_assert_uint_eq(settings.source[OPTION_port], OPTION_SOURCE_DEFAULT);
    unload();
}
END_TEST

int main(void)
{
    log_level_set(LOG_LEVEL_ERROR);
    Suite *suite = suite_create("config");
    TCase *rows = tcase_create("options");
    tcase_add_test(rows, every_row_can_be_found_by_its_name_and_says_what_it_does);
    tcase_add_test(rows, no_letter_and_no_name_is_given_twice);
    tcase_add_test(rows, the_defaults_are_those_of_the_rows);
    tcase_add_test(rows, letters_bundle_and_long_names_take_both_forms);
    tcase_add_test(rows, a_list_adds_up_and_replaces_its_default);
    tcase_add_loop_test(rows, sizes_take_their_suffixes, 0, (int)(sizeof sizes / sizeof *sizes));
    tcase_add_loop_test(rows, what_is_wrong_is_refused, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_loop_test(rows, what_has_no_meaning_here_is_accepted, 0, (int)(sizeof unused / sizeof *unused));
    tcase_add_loop_test(rows, what_has_no_meaning_here_is_checked_all_the_same, 0,
                        (int)(sizeof unused_wrong / sizeof *unused_wrong));
    tcase_add_test(rows, more_threads_than_there_can_be_are_as_many_as_there_can_be);
    tcase_add_test(rows, no_modern_tells_too_many_connections_to_wait);
    tcase_add_test(rows, no_line_of_stats_settings_comes_twice);
    tcase_add_test(rows, fractions_and_sizes_are_told_as_memcached_tells_them);
    tcase_add_test(rows, the_default_item_size_gives_way_to_a_small_memory);
    tcase_add_test(rows, settings_print_as_memcacheds);
    tcase_add_test(rows, the_admin_reads_a_value_as_one_writes_it);
    tcase_add_test(rows, a_running_server_takes_what_may_change_and_no_more);
    tcase_add_test(rows, the_command_line_outranks_the_file_wherever_it_stands);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
