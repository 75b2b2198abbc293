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

/* The text with what else the row knows: "Text (default: 64 MiB; may change while running)". */
static const char *full_text(const struct option_slot *slot, char *out, size_t size)
{
    const struct option_row *row = &slot->row;
    char given[64] = "";
    if (option_takes_value(slot) && row->default_text)
        snprintf(given, sizeof given, "default: %s%s%s", row->default_text,
                 slot->type == OPTION_TYPE_NUMBER && *row->unit ? " " : "",
                 slot->type == OPTION_TYPE_NUMBER ? row->unit : "");
    const char *changes = row->runtime ? "may change while running" : "";
    bool both = *given && *changes;
    if (*given || *changes)
        snprintf(out, size, "%s (%s%s%s)", row->text, given, both ? "; " : "", changes);
    else
        snprintf(out, size, "%s", row->text);
    return out;
}

/* memcached's letters that are accepted, or refused, without a row. */
static void print_letters(const char *title, enum other_kind kind)
{
    printf("%s", title);
    for (unsigned i = 0; i < OTHER_COUNT; i++)
        if (other_row(i)->kind == kind && other_row(i)->letter)
            printf(" -%c", other_row(i)->letter);
    printf("\n");
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
        if (row->kind == OTHER_ACTION && row->text)
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
    print_letters("\nmemcached's options that have no meaning here (accepted):", OTHER_UNUSED);
    print_letters("memcached's options that are not built yet (refused):", OTHER_UNBUILT);
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
    printf(
        ".SH OPTIONS FILE\nOne option a line, with or without dashes; # begins a comment. "
        "The command line outranks the file. Debian's /etc/memcached.conf is read as it is.\n"
        ".SH SIGNALS\nSIGTERM and SIGINT stop cleanly; a second one stops at once. SIGHUP is ignored.\n"
        ".SH EXIT STATUS\n0 after a clean stop, 64 for a wrong option, 71 when the system refuses what was "
        "asked for.\n.SH SEE ALSO\n.BR memcached (1)\n");
}
