/* The command line: getopt_long over tables made from the rows. A line of an options file becomes a small
 * command line of its own, so that both take the same forms. */
#include "config/config_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getopt's value for the row: out of the way of the letters. */
#define ROW_FIRST   256
#define OTHER_FIRST (ROW_FIRST + (int)OPTION_COUNT)

struct getopt_tables {
    char letters[2 * (OPTION_COUNT + OTHER_COUNT) + 3];
    struct option names[OPTION_COUNT + OTHER_COUNT + 1];
};

static void add_letter(char **at, char letter, bool value)
{
    if (letter)
        *(*at)++ = letter;
    if (letter && value)
        *(*at)++ = ':';
}

static void tables_make(struct getopt_tables *tables)
{
    char *at = tables->letters;
    *at++ = ':'; /* a missing value is told apart */
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_slot *slot = option_slot(i);
        bool value = option_takes_value(slot);
        add_letter(&at, slot->row.letter, value);
        tables->names[i] = (struct option){.name = slot->row.name,
                                           .has_arg = value ? required_argument : optional_argument,
                                           .val = ROW_FIRST + (int)i};
    }
    for (unsigned i = 0; i < OTHER_COUNT; i++) {
        const struct other_row *row = other_row(i);
        add_letter(&at, row->letter, row->argument != NULL);
        tables->names[OPTION_COUNT + i] =
            (struct option){.name = row->name,
                            .has_arg = row->argument ? required_argument : no_argument,
                            .val = OTHER_FIRST + (int)i};
    }
    *at = '\0';
    tables->names[OPTION_COUNT + OTHER_COUNT] = (struct option){0};
}

static int by_letter(int letter)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (option_row(i)->letter == letter)
            return ROW_FIRST + (int)i;
    for (unsigned i = 0; i < OTHER_COUNT; i++)
        if (other_row(i)->letter == letter)
            return OTHER_FIRST + (int)i;
    return -1;
}

static bool apply(struct config_reading *reading, int found, const char *value)
{
    if (found < ROW_FIRST)
        found = by_letter(found);
    if (found >= OTHER_FIRST)
        return config_other(reading, (unsigned)(found - OTHER_FIRST), value);
    return config_set(reading, (unsigned)(found - ROW_FIRST), value);
}

/* `word` is the argument getopt stopped at: what the user wrote. */
static bool refuse(struct config_reading *reading, int found, const char *word)
{
    if (found == ':')
        return config_fail(reading, "%s: needs a value; see --help", word);
    if (optopt >= ROW_FIRST)
        return config_fail(reading, "%s: takes no value", word);
    if (optopt != 0)
        return config_fail(reading, "-%c: there is no such option; see --help", optopt);
    return config_fail(reading, "%s: there is no such option; see --help", word);
}

bool config_read_arguments(struct config_reading *reading, int argc, char **argv)
{
    struct getopt_tables tables = {0};
    tables_make(&tables);
    opterr = 0;
    optind = 0; /* makes glibc's getopt start afresh */
    int found;
    while ((found = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
        bool unknown = found == '?' || found == ':';
        bool good = unknown ? refuse(reading, found, argv[optind - 1]) : apply(reading, found, optarg);
        if (!good && !reading->probing)
            return false;
    }
    if (optind < argc)
        return config_fail(reading, "%s: options only, please; see --help", argv[optind]);
    return true;
}

/* ---- the options file ---- */

#define FILE_LINE_MAX 4096u

/* Cuts the comment and the blanks around. A '#' begins a comment at the start of a word only, so that paths
 * may hold one. */
static char *trim(char *line)
{
    line += strspn(line, " \t\r\n");
    for (char *at = line; *at; at++)
        if (*at == '#' && (at == line || at[-1] == ' ' || at[-1] == '\t'))
            *at = '\0';
    size_t size = strlen(line);
    while (size > 0 && strchr(" \t\r\n", line[size - 1]))
        line[--size] = '\0';
    return line;
}

/* Splits "name value", "name = value" and "name=value"; the value is NULL when there is none. */
static char *split(char *line, const char *ends)
{
    char *at = line + strcspn(line, ends);
    if (*at == '\0')
        return NULL;
    bool equals = *at == '=';
    *at++ = '\0';
    at += strspn(at, " \t");
    if (!equals && *at == '=' && strchr(ends, '='))
        at += 1 + strspn(at + 1, " \t");
    return at;
}

/* "-m 64": as on the command line. */
static bool read_dashed(struct config_reading *reading, char *line)
{
    char program[] = "vitrine";
    char *value = split(line, " \t");
    char *words[] = {program, line, value, NULL};
    return config_read_arguments(reading, value ? 3 : 2, words);
}

/* "memory-limit = 64": becomes --memory-limit=64. */
static bool read_named(struct config_reading *reading, char *line)
{
    char program[] = "vitrine", option[FILE_LINE_MAX + 8];
    char *value = split(line, " \t=");
    for (char *at = line; *at; at++)
        if (*at == '_')
            *at = '-';
    snprintf(option, sizeof option, "--%s%s%s", line, value ? "=" : "", value ? value : "");
    char *words[] = {program, option, NULL};
    return config_read_arguments(reading, 2, words);
}

bool config_read_file(struct config_reading *reading, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return config_fail(reading, "--config %s: %m", path);
    char line[FILE_LINE_MAX];
    bool good = true;
    reading->source = OPTION_SOURCE_FILE;
    for (unsigned number = 1; good && fgets(line, sizeof line, file); number++) {
        snprintf(reading->place, sizeof reading->place, "%.255s:%u: ", path, number);
        if (strlen(line) == sizeof line - 1) {
            good = config_fail(reading, "a line has at most %u characters", FILE_LINE_MAX - 2);
            break;
        }
        char *text = trim(line);
        if (*text != '\0')
            good = *text == '-' ? read_dashed(reading, text) : read_named(reading, text);
    }
    if (good && ferror(file))
        good = config_fail(reading, "--config %s: %m", path);
    fclose(file);
    return good;
}
