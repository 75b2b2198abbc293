/* --help, --version and the man page, all from the rows. */
#include "config/config.h"

#include "config/config_priv.h"

#include <stdio.h>
#include <string.h>

#define HELP_INDENT 32u
#define HELP_WIDTH  100u

/* Writes `text` wrapped at HELP_WIDTH, each further line indented. */
static void print_wrapped(const char *text)
{
    size_t column = HELP_INDENT;
    for (bool first = true; *text; first = false) {
        size_t word = strcspn(text, " ");
        if (!first && column + 1 + word > HELP_WIDTH) {
            printf("\n%*s", (int)HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)word, text);
        column += word;
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

static void print_option(char letter, const char *name, const char *argument, const char *text)
{
    char head[128];
    char dash[8] = "    ";
    if (letter)
        snprintf(dash, sizeof dash, "-%c, ", letter);
    int size = snprintf(head, sizeof head, "  %s--%s%s%s", dash, name, argument ? "=" : "",
                        argument ? argument : "");
    if ((size_t)size + 1 > HELP_INDENT)
        printf("%s\n%*s", head, (int)HELP_INDENT, "");
    else
        printf("%-*s", (int)HELP_INDENT, head);
    print_wrapped(text);
}

/* The key of -o that sets the row, NULL: none. */
static const char *key_of(const struct option_slot *slot)
{
    const struct extended_row *row;
    for (unsigned i = 0; (row = extended_row(i)) != NULL; i++)
        if (row->option && strcmp(row->option, slot->row.name) == 0)
            return row->key;
    return NULL;
}

/* The text with what else the row knows: "Text (default: 64 MiB; may change while running; -o key)". */
static const char *full_text(const struct option_slot *slot, char *out, size_t size)
{
    const struct option_row *row = &slot->row;
    char given[64] = "";
    if (option_takes_value(slot) && row->default_text)
        snprintf(given, sizeof given, "default: %s%s%s", row->default_text,
                 slot->type == OPTION_TYPE_NUMBER && *row->unit ? " " : "",
                 slot->type == OPTION_TYPE_NUMBER ? row->unit : "");
    char notes[192] = "";
    const char *key = key_of(slot);
    snprintf(notes, sizeof notes, "%s%s%s%s", *given ? "; " : "", given,
             row->runtime ? "; may change while running" : "", key ? "; -o " : "");
    if (key)
        strncat(notes, key, sizeof notes - strlen(notes) - 1);
    if (*notes)
        snprintf(out, size, "%s (%s)", row->text, notes + 2);
    else
        snprintf(out, size, "%s", row->text);
    return out;
}

/* Names an option as one writes it: "-f num", "-o hot_lru_pct=percent" or "--logfile=file". */
static const char *spelling(const struct option_slot *slot, char *out, size_t size)
{
    const char *key = key_of(slot), *argument = option_takes_value(slot) ? slot->row.argument : NULL;
    if (slot->row.letter)
        snprintf(out, size, "-%c%s%s", slot->row.letter, argument ? " " : "", argument ? argument : "");
    else
        snprintf(out, size, "%s%s%s%s", key ? "-o " : "--", key ? key : slot->row.name, argument ? "=" : "",
                 argument ? argument : "");
    return out;
}

/* Does the row go by a key of -o alone? */
static bool is_key_only(const struct option_slot *slot)
{
    return slot->row.letter == 0 && key_of(slot) != NULL;
}

/* What does nothing here: by letter or long name, or the keys of -o. */
static void print_unused_words(bool keys)
{
    char list[2048] = "", word[64];
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_slot *slot = option_slot(i);
        if (!slot->row.unused || is_key_only(slot) != keys)
            continue;
        if (slot->row.letter)
            snprintf(word, sizeof word, " -%c", slot->row.letter);
        else
            snprintf(word, sizeof word, " %s%s", keys ? "" : "--", keys ? key_of(slot) : slot->row.name);
        strncat(list, word, sizeof list - strlen(list) - 1);
    }
    printf("%-*s", (int)HELP_INDENT, keys ? "  keys of -o" : "  options");
    print_wrapped(list + 1);
}

static void print_unused(void)
{
    printf("\nWithout effect: memcached's, accepted; the manual page says why each has no meaning here\n");
    print_unused_words(false);
    print_unused_words(true);
}

static bool in_group(const struct option_slot *slot, unsigned group)
{
    return strcmp(slot->row.group, option_groups[group].id) == 0;
}

/* How --help and the manual page write the same options. */
struct form {
    void (*title)(const char *title);
    void (*option)(char letter, const char *name, const char *argument, const char *text);
};

static void print_options(const struct form *form)
{
    char text[512];
    for (unsigned group = 0; group < option_group_count; group++) {
        form->title(option_groups[group].title);
        for (unsigned i = 0; i < OPTION_COUNT; i++) {
            const struct option_slot *slot = option_slot(i);
            if (in_group(slot, group))
                form->option(slot->row.letter, slot->row.name, slot->row.argument,
                             full_text(slot, text, sizeof text));
        }
    }
    form->title("General");
    for (unsigned i = 0; i < OTHER_COUNT; i++) {
        const struct other_row *row = other_row(i);
        if (row->text)
            form->option(row->letter, row->name, row->argument, row->text);
    }
}

static void print_title(const char *title)
{
    printf("\n%s\n", title);
}

void config_print_help(void)
{
    static const struct form plain_form = {print_title, print_option};
    printf("vitrine " VITRINE_VERSION ": a memcached-compatible cache that you can see into\n\n"
           "Usage: vitrine [option]...\n");
    print_options(&plain_form);
    print_unused();
}

void config_print_version(void)
{
    printf("vitrine " VITRINE_VERSION "\n");
}

/* ---- the man page ---- */

/* Roff takes a leading dot or quote for a command, and a dash for a hyphen. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        printf("\\&");
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\n');
}

static void roff_option(char letter, const char *name, const char *argument, const char *text)
{
    char head[128];
    snprintf(head, sizeof head, "%s%c%s--%s%s%s", letter ? "-" : "", letter ? letter : ' ',
             letter ? ", " : "", name, argument ? "=" : "", argument ? argument : "");
    printf(".TP\n.B ");
    print_roff(letter ? head : head + 1);
    print_roff(text);
}

static void roff_title(const char *title)
{
    printf(".SH OPTIONS: %s\n", title);
}

/* memcached's that do nothing here, and why. */
static void roff_unused(void)
{
    char name[64];
    roff_title("Accepted without effect");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_slot *slot = option_slot(i);
        if (!slot->row.unused)
            continue;
        printf(".TP\n.B ");
        print_roff(spelling(slot, name, sizeof name));
        print_roff(slot->row.text);
    }
}

void config_print_man(void)
{
    static const struct form roff_form = {roff_title, roff_option};
    printf(
        ".TH VITRINE 1 \"\" \"vitrine " VITRINE_VERSION "\" \"User Commands\"\n"
        ".SH NAME\nvitrine \\- a memcached\\-compatible cache that you can see into\n"
        ".SH SYNOPSIS\n.B vitrine\n[option]...\n.SH DESCRIPTION\n"
        "Serves the memcached protocol on port 11211 and shows what happens inside over HTTP on port 9150: "
        "a dashboard, a REST API and Prometheus metrics. Its options have memcached's letters, long names "
        "and meaning.\n");
    print_options(&roff_form);
    roff_unused();
    printf(
        ".SH OPTIONS FILE\nOne option a line, with or without dashes; # begins a comment. "
        "The command line outranks the file. Debian's /etc/memcached.conf is read as it is.\n"
        ".SH SIGNALS\nSIGTERM, SIGINT and SIGUSR1 stop cleanly; a second one stops at once. SIGHUP reads "
        "the certificates of \\-Z and the users of \\-Y again.\n"
        ".SH ENVIRONMENT\n.TP\n.B " CONFIG_SASL_FILE_VARIABLE
        "\nThe file of users for \\-S where there is no \\-Y.\n.TP\n.B NOTIFY_SOCKET\nWhere the service "
        "manager "
        "is told that the cache serves, and that it stops.\n"
        ".SH EXIT STATUS\n0 after a clean stop, 64 for a wrong option, 71 when the system refuses what was "
        "asked for.\n.SH SEE ALSO\n.BR memcached (1)\n");
}

/* ---- docs/options.md ---- */

/* "-m, --memory-limit=MiB": as in --help. */
static void table_option(const struct option_slot *slot)
{
    const struct option_row *row = &slot->row;
    char text[512];
    printf("| `");
    if (row->letter)
        printf("-%c`, `", row->letter);
    printf("--%s%s%s` | %s |\n", row->name, row->argument ? "=" : "", row->argument ? row->argument : "",
           full_text(slot, text, sizeof text));
}

static void table_unused(void)
{
    char name[64];
    printf(
        "\n## Accepted without effect\n\n"
        "memcached's options that have no meaning here. Their values are checked as memcached checks them, "
        "`stats settings` tells them as they were given, and one line in the log says why nothing "
        "follows.\n\n| option | why it has no meaning here |\n|---|---|\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (option_row(i)->unused)
            printf("| `%s` | %s |\n", spelling(option_slot(i), name, sizeof name), option_row(i)->text);
}

void config_print_table(void)
{
    printf("# Every option\n\nMade from the table in `daemon/config/options.def` by `make docs`; `vitrine "
           "--help` and the "
           "manual page say the same.\nA switch of `-o` has a `no_` form that turns it off.\n");
    for (unsigned group = 0; group < option_group_count; group++) {
        printf("\n## %s\n\n| option | |\n|---|---|\n", option_groups[group].title);
        for (unsigned i = 0; i < OPTION_COUNT; i++)
            if (in_group(option_slot(i), group))
                table_option(option_slot(i));
    }
    printf("\n## General\n\n| option | |\n|---|---|\n");
    for (unsigned i = 0; i < OTHER_COUNT; i++) {
        const struct other_row *row = other_row(i);
        if (row->text)
            printf("| `%s%c%s--%s` | %s |\n", row->letter ? "-" : "", row->letter ? row->letter : ' ',
                   row->letter ? "`, `" : "", row->name, row->text);
    }
    table_unused();
}
